import type { Court } from "./evidence.ts";
import { type MailboxLedger, isInGap } from "./ledger.ts";

/** A run that was frozen on the way, and what it publishes then. */
const LISTING_MS_MAX = 20 * 60_000;

/**
 * Looks at the order of a whole stream: P3. A record that became readable no later than another with a
 * higher id is published before it. What Gmail reveals late may come late.
 */
export function checkOrder({ violate }: Pick<Court, "violate">, ledger: MailboxLedger): void {
  const { sub, records, firsts, reused, isEdited } = ledger;
  const told = records
    // From an older document, what a gap has left out may be read after all.
    .filter((record) => !(isEdited && isInGap(ledger, record)))
    .flatMap((record) => record.events.map(({ id }) => ({ id, record, first: firsts.get(id) })))
    .filter(({ first }) => first !== undefined && first.event.json["recovered"] !== true)
    .filter(({ id }) => !reused.has(id));
  for (const [index, { record, first }] of told.entries()) {
    for (const later of told.slice(index + 1)) {
      if (first === undefined || later.first === undefined) continue;
      // A listing of many pages may have passed the place of a record before it was revealed.
      const isLate = record.readableAt > record.at;
      const knownAt = record.readableAt + (isLate ? LISTING_MS_MAX : 0);
      const isSwapped =
        later.first.order < first.order &&
        later.record.epoch === record.epoch &&
        (isLate ? later.first.at > knownAt : later.record.readableAt >= knownAt);
      if (isSwapped) {
        violate("P3", `${sub}: ${later.record.id} is published before ${record.id}`);
        return;
      }
    }
  }
}
