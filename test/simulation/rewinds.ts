import { parseUserId } from "../../functions/src/domain/user.ts";
import type { Checks } from "./checks.ts";
import type { SimulatedGoogle } from "./google.ts";
import type { SimulatedStore } from "./store.ts";
import type { World } from "./world.ts";

/**
 * Heads that go back by any number. Only a head below one that was named before tells of it, so the
 * world keeps to two rules: the head goes back to below the highest that is stored, and it reaches
 * that again only after the receiver has stored that it went back. Otherwise nothing that Google
 * answers would differ from a mailbox in which little has happened.
 */
export interface Rewinds {
  /** False where no head is stored, so that none can be seen to have gone back. */
  rewind(sub: string, by: bigint): boolean;
  /** Whether so many records may be written in the mailbox now, by the second rule. */
  mayChange(sub: string, records: number): boolean;
  /** When the mailbox's head last went back; a backup from before knows nothing of it. */
  rewoundAt(sub: string): number;
}

/** Ids that one record takes, with its notification. */
const RECORD_IDS = 2n;
/** Records whose notifications may have taken ids that the head does not show. */
const OWED_RECORDS = 5n;
/** Ids that renewed watches take until the receiver has looked, where each moves the head. */
const WATCH_IDS = 40n;

export function createRewinds(
  { scheduler, parameters, trace }: World,
  { model }: SimulatedGoogle,
  store: SimulatedStore,
  checks: Checks,
): Rewinds {
  /** By mailbox: where its head was, as long as the receiver does not know that it is lower. */
  const unseen = new Map<string, bigint>();
  const times = new Map<string, number>();
  const step = BigInt(parameters.idStepMax);

  /** The head that the next complete listing is compared with. */
  function knownHead(sub: string): bigint | undefined {
    const id = parseUserId(sub);
    const sync = id === undefined ? undefined : store.storedUser(id)?.sync;
    const known = sync?.recovery?.toHistoryId ?? sync?.highestHead;
    return known === undefined ? undefined : BigInt(known);
  }

  function isSeen(sub: string, before: bigint): boolean {
    const known = knownHead(sub);
    return known === undefined || known < before;
  }

  return {
    rewind(sub, by) {
      const known = knownHead(sub);
      if (known === undefined) return false;
      const { head } = model.position(sub);
      const before = known < head ? known : head;
      // The first record comes at once, or nothing would have gone back.
      const least = (parameters.notificationIdAhead === "with_head" ? WATCH_IDS : 1n) * step + 1n;
      const to = before - (by > least ? by : least);
      model.rewindHead(sub, String(to));
      model.setIndexLag(sub, { kind: "none" });
      model.deliver(sub);
      unseen.set(sub, before);
      times.set(sub, scheduler.now());
      checks.touched(sub);
      checks.rewound(sub);
      trace(() => `${sub.slice(-4)} head back from ${head} to ${to}`);
      return true;
    },

    mayChange(sub, records) {
      const before = unseen.get(sub);
      if (before === undefined) return true;
      if (isSeen(sub, before)) {
        unseen.delete(sub);
        return true;
      }
      const ids = (BigInt(records) + OWED_RECORDS) * RECORD_IDS;
      return model.position(sub).head + ids * step < before;
    },

    rewoundAt: (sub) => times.get(sub) ?? -Infinity,
  };
}
