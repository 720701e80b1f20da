import { type Snapshot, type User, parseUserId } from "../../functions/src/domain/user.ts";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { GoogleCall, SimulatedGoogle } from "./google.ts";
import type { LoggedRecord } from "./delay-checks.ts";
import type { MailboxLedger } from "../checker/ledger.ts";
import type { Ledgers } from "../checker/ledgers.ts";
import type { Commit, SimulatedStore } from "./store.ts";
import type { World } from "./world.ts";

/** Looks at what snapshots publish, when they end, and what they cost. */
export interface SnapshotChecks {
  onCommit(commit: Commit): void;
  onPublished(event: PubsubCloudEvent): void;
  onCall(call: GoogleCall): void;
  onLogged(record: LoggedRecord): void;
  /** From now on Google refuses the lists of this mailbox, until the returned function is called. */
  refused(sub: string): () => void;
  checkFinally(lastCallsAt: number): void;
}

/** A snapshot, and what was in the mailbox when it was requested. */
interface Asked {
  sub: string;
  snapshot: Snapshot;
  messages: readonly string[];
  /** Event ids of what was published before: it may come again. */
  told: ReadonlySet<string>;
  isCompleted: boolean;
  isFailed: boolean;
  /** The stream that it belongs to has ended. */
  isDropped: boolean;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Lists are out of order by so much where the world is. */
const DISORDER_MS = DAY;
/**
 * 180 units in a run, and the last page: two lists, the drafts, dates and labels of its messages, and
 * what is repeated of it.
 */
const UNITS_PER_TURN_MAX = 180 + 800;
/** After so long of refusals a snapshot is given up. */
const FAILING_MS_MAX = 3 * DAY;
/** The longest pauses before its last attempt and before its end, and what chance lets fail. */
const GIVEN_UP_LATE_MS = 12 * HOUR;
/** Failures of another kind start the three days again, and an unreadable document is not tried. */
const OTHER_FAILURES = [
  "refused mailboxes",
  "unknown token codes",
  "bursts of 401",
  "invalid account states",
  "unreadable documents",
  "turns that throw",
  "lost histories",
] as const;
const SMALL_PAGE = 5;
const IMPRECISE = ["old imports", "unsorted lists", "replicas behind", "stray answers"] as const;
const UNITS: Readonly<Record<string, number>> = { "messages.list": 5, "messages.get": 20 };

export function createSnapshotChecks(
  world: World,
  { model }: SimulatedGoogle,
  ledgers: Ledgers,
  store: SimulatedStore,
): SnapshotChecks {
  const { scheduler, parameters, count, violate } = world;
  /** By user and snapshot. */
  const asked = new Map<string, Asked>();
  const seen = new Set<string>();
  /**
   * What one run has spent on one mailbox, by when it began; absent where it also recovers, or
   * where the call may be one of another run.
   */
  const spent = new Map<string, number | undefined>();
  const users = new Map<string, User>();
  /** By mailbox: how many refusals hold, and since when the first of them has. */
  const refusals = new Map<string, { count: number; since: number }>();
  /** Mailboxes with a message whose date could not be read: it counts as young. */
  const undated = new Set<string>();
  /** By mailbox: when refusals ended that held long enough to give a snapshot up. */
  const longRefusals = new Map<string, number>();

  return {
    onCommit({ before, after }) {
      users.set(after.id, after);
      const { snapshot } = after;
      if (before?.status === "disconnected" && after.status !== "disconnected") drop(after.id);
      const key = `${after.id}/${snapshot?.id}`;
      if (before === undefined) drop(after.id);
      if (snapshot === undefined || asked.has(key)) return;
      count("snapshot requested");
      const ledger = ledgers.current(after.id);
      const messages = present(ledger, snapshot);
      const told = new Set(ledger.firsts.keys());
      asked.set(key, {
        sub: after.id,
        snapshot,
        messages,
        told,
        isCompleted: false,
        isFailed: false,
        isDropped: false,
      });
    },

    onPublished({ attributes, json }) {
      const id = attributes["ce-id"] ?? "";
      const sub = String(json["userId"]);
      const type = attributes["ce-type"];
      const isFirst = !seen.has(id);
      seen.add(id);
      if (type === "mailbox.message.added" && isFirst) checkAdded(sub, id, json);
      const of = asked.get(`${sub}/${String(json["snapshotId"])}`);
      if (type === "mailbox.message.existing") checkExisting(sub, of, json, isFirst);
      if (type === "mailbox.snapshot.completed") checkCompleted(sub, of, json);
      if (type === "mailbox.snapshot.failed") checkFailed(sub, of);
    },

    refused(sub) {
      const before = refusals.get(sub) ?? { count: 0, since: scheduler.now() };
      refusals.set(sub, { ...before, count: before.count + 1 });
      return () => allowed(sub);
    },

    onCall({ sub, method, runSince, runs }) {
      const units = UNITS[method];
      if (units === undefined) return;
      const key = `${sub}/${runSince}`;
      const before = spent.has(key) ? spent.get(key) : 0;
      const isRecovering = users.get(sub)?.sync.recovery !== undefined;
      const isUnclear = isRecovering || runs > 1 || before === undefined;
      const sum = isUnclear ? undefined : before + units;
      spent.set(key, sum);
      if (sum === undefined || parameters.pageMax > SMALL_PAGE || sum <= UNITS_PER_TURN_MAX) return;
      if (before !== undefined && before > UNITS_PER_TURN_MAX) return;
      violate("P12", `one run spends ${sum} units on the snapshot of ${sub}`);
    },

    onLogged({ event, userId }) {
      if (event === "message_date_unreadable" && userId !== undefined) undated.add(userId);
    },

    checkFinally(lastCallsAt) {
      for (const { sub, snapshot, isCompleted, isFailed, isDropped } of asked.values()) {
        const id = parseUserId(sub);
        const user = id === undefined ? undefined : store.storedUser(id);
        if (user?.status !== "active" || isCompleted || isFailed || isDropped) continue;
        const since = Math.max(user.statusAt.getTime(), snapshot.requestedAt.getTime());
        if (since > lastCallsAt - 3 * HOUR) continue;
        violate("P11", `snapshot ${snapshot.id} of ${sub} is not complete`);
      }
    },
  };

  function allowed(sub: string): void {
    const { count: refused = 0, since = 0 } = refusals.get(sub) ?? {};
    if (refused > 1) {
      refusals.set(sub, { count: refused - 1, since });
      return;
    }
    refusals.delete(sub);
    const now = scheduler.now();
    if (now - since >= FAILING_MS_MAX) longRefusals.set(sub, now);
    const user = users.get(sub);
    if (user?.status !== "active" || OTHER_FAILURES.some((it) => parameters.rude.has(it))) return;
    const of = asked.get(`${sub}/${user.snapshot?.id}`);
    if (of === undefined || of.isCompleted || of.isFailed || of.isDropped) return;
    const from = Math.max(since, user.statusAt.getTime(), of.snapshot.requestedAt.getTime());
    if (now - from <= FAILING_MS_MAX + GIVEN_UP_LATE_MS) return;
    violate("P13", `snapshot ${of.snapshot.id} of ${sub} is refused for days and not given up`);
  }

  function drop(sub: string): void {
    for (const of of asked.values()) of.isDropped ||= of.sub === sub;
  }

  /** Every message that a snapshot has to tell of: readable, young, watched, and no draft. */
  function present({ sub, expected, rules }: MailboxLedger, { since }: Snapshot): string[] {
    const { watchedLabels, publishesDrafts } = rules;
    return model
      .account(sub)
      .messages.filter(({ id, internalDate, labelIds }) => {
        const added = expected.get(`${sub}/added/${id}`);
        const isReadable = added !== undefined && added.record.readableAt <= scheduler.now();
        const isWatched =
          watchedLabels.length === 0 || watchedLabels.some((label) => labelIds.includes(label));
        const isDraft = labelIds.includes("DRAFT") && !publishesDrafts;
        return isReadable && isWatched && !isDraft && internalDate >= since.getTime();
      })
      .map(({ id }) => id);
  }

  /** What was there is never told as new because of a snapshot. */
  function checkAdded(sub: string, id: string, json: Record<string, unknown>): void {
    if (json["recovered"] === true || ledgers.current(sub).isEdited) return;
    const { snapshot } = users.get(sub) ?? {};
    const of = asked.get(`${sub}/${snapshot?.id}`);
    if (of === undefined || of.told.has(id)) return;
    const record = ledgers.current(sub).expected.get(id)?.record;
    const isOfBefore = record !== undefined && record.epoch === 0 && epoch(sub) === 0;
    if (isOfBefore && record.id <= BigInt(of.snapshot.upToHistoryId)) {
      violate("P1", `${id} is told as added, and was there when the snapshot was requested`);
    }
  }

  function checkExisting(
    sub: string,
    of: Asked | undefined,
    json: Record<string, unknown>,
    isFirst: boolean,
  ): void {
    const messageId = String(json["messageId"]);
    count("existing message published");
    const ledger = ledgers.current(sub);
    if (of === undefined) return violate("P2", `no snapshot tells of ${messageId} of ${sub}`);
    const isOver = of.isCompleted || of.isFailed;
    if (isOver) count("existing message repeated after the end");
    if (isOver && isFirst && of.messages.includes(messageId)) {
      violate("P3", `${messageId} of ${sub} is told after the end of its snapshot`);
    }
    if (ledger.threads.get(messageId) !== json["threadId"]) {
      violate("P2", `the existing ${messageId} of ${sub} is not Gmail's`);
    }
    const added = `${sub}/added/${messageId}`;
    const isLive = ledger.firsts.has(added) && !of.told.has(added);
    if (isLive) count("message told as added and as existing");
    const message = model.message(sub, messageId);
    // Deleted since its page was read.
    if (message === undefined) return;
    const { labelIds, internalDate } = message;
    if (labelIds.includes("DRAFT") && !ledger.rules.publishesDrafts) {
      violate("P2", `the draft ${messageId} of ${sub} is told as existing`);
    }
    // An old message among young ones is told with them, and so is one whose date is not known.
    const isDated = !undated.has(sub) && IMPRECISE.every((rude) => !parameters.rude.has(rude));
    if (isDated && internalDate < of.snapshot.since.getTime() - DISORDER_MS) {
      violate("P2", `${messageId} of ${sub} is too old for the snapshot`);
    }
  }

  function checkCompleted(sub: string, of: Asked | undefined, json: Record<string, unknown>): void {
    if (of === undefined) return violate("P2", `a snapshot of ${sub} ends that never was`);
    if (of.isFailed) violate("P3", `snapshot ${of.snapshot.id} of ${sub} has two ends`);
    if (of.isCompleted) return;
    of.isCompleted = true;
    count("snapshot completed");
    const { firsts, rules } = ledgers.current(sub);
    const left = new Map(model.account(sub).messages.map((message) => [message.id, message]));
    for (const id of of.messages) {
      const isTold = firsts.has(`${sub}/existing/${of.snapshot.id}/${id}`);
      const labelIds = left.get(id)?.labelIds;
      const { watchedLabels } = rules;
      const isWatched =
        watchedLabels.length === 0 || watchedLabels.some((label) => labelIds?.includes(label));
      // What is gone, or no longer watched, may have been there or not when its page was read.
      if (isTold || labelIds === undefined || !isWatched) continue;
      if (firsts.has(`${sub}/added/${id}`)) continue;
      violate("P1", `${id} of ${sub} was there before snapshot ${of.snapshot.id}, and is not told`);
    }
    const prefix = `${sub}/existing/${of.snapshot.id}/`;
    const existing = [...firsts.keys()].filter((id) => id.startsWith(prefix)).length;
    // A message with two watched labels is listed twice.
    const listings = Math.max(1, rules.watchedLabels.length);
    if (Number(json["messages"]) > existing * listings) {
      violate("P2", `a snapshot of ${sub} says ${String(json["messages"])} for ${existing}`);
    }
  }

  function checkFailed(sub: string, of: Asked | undefined): void {
    if (of === undefined) return violate("P2", `a snapshot of ${sub} fails that never was`);
    if (of.isCompleted) violate("P3", `snapshot ${of.snapshot.id} of ${sub} has two ends`);
    if (of.isFailed) return;
    of.isFailed = true;
    count("snapshot given up");
    const now = scheduler.now();
    const requestedAt = of.snapshot.requestedAt.getTime();
    const isRefused = now - (refusals.get(sub)?.since ?? now) >= FAILING_MS_MAX;
    const wasRefused = (longRefusals.get(sub) ?? -Infinity) > requestedAt;
    if (isRefused || wasRefused) return;
    violate(
      "P2",
      `snapshot ${of.snapshot.id} of ${sub} is given up without being refused for days`,
    );
  }

  function epoch(sub: string): number {
    return ledgers.current(sub).records.at(-1)?.epoch ?? 0;
  }
}
