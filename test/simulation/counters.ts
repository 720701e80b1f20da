/** How often each named situation came about. */
export type Counts = Partial<Record<Situation, number>>;

export const SITUATIONS = [
  // Faults.
  "crash before an effect",
  "crash after an effect",
  "instance frozen",
  "google failed before the effect",
  "google failed after the effect",
  "google timed out",
  "google throttled",
  "google answered 401 to a live token",
  "google answered with a page",
  "watch conflict",
  "refresh token rotated",
  "store failed before a write",
  "commit unknown",
  "write refused by contention",
  "write applied but refused",
  "store read failed",
  "publish failed before",
  "publish unknown",
  "publish cut short",
  "changes topic misconfigured",
  "mail refused by the server",
  "mail taken, and the answer lost",
  "notification lost",
  "notification repeated",
  "notification late",
  "notification redelivered",
  "notification redelivered while in flight",
  "schedule skipped",
  "schedule doubled",
  "schedules overlapped",
  "wrong client secret",
  "another client deployed",
  "gmail topic closed",
  "gmail api disabled",
  "google down",
  "store down",
  "burst of records",
  "record late by minutes",
  "late record that nothing told of in time",
  "head rewound by any number",
  "history lost, the head included",
  "mailbox refused",
  "refresh refused with a code that no list has",
  "burst of 401",
  "account state invalid, once",
  "google answered astray",
  "google answered from a replica behind",
  "history left fields out",
  "message listed out of order",
  "notifications under another spelling",
  "five services, each with its own instances",
  // What people and administrators do.
  "draft sent",
  "mail imported with an old date",
  "document that cannot be decoded",
  "mailbox whose every turn throws",
  "document edited by hand",
  "document restored from a backup",
  "person forgotten",
  "mailbox paused",
  "mailbox paused while a run is under way",
  "person authorized a paused mailbox",
  "mailbox resumed",
  "changes published after a pause",
  "grant adopted by an import",
  "import finished after it died",
  "import met a person who had connected",
  "import refused a grant",
  "replaced refresh token kept by an import",
  "address renamed",
  "address taken over by another person",
  "history expired",
  "head rewound",
  "grant ended",
  "mail switched off",
  "admin blocked",
  "person disconnected",
  "person connected again after a disconnect",
  "person re-authorized",
  "re-authorization while a run is under way",
  "re-authorization refused: another account",
  "re-authorization refused: scope unticked",
  "consent declined",
  // What the receiver did.
  "caught up",
  "stale notification",
  "joined or queued run",
  "lag waited out",
  "lag due",
  "unfinished run",
  "throttled run",
  "run superseded",
  "compare-and-set lost",
  "compare-and-set lost by a frozen instance",
  "checkpoint written after a lost race",
  "gap published",
  "gap after a rewind",
  "gap of a notified id that never showed",
  "recovered message published",
  "recovery completed",
  "recovery resumed by another run",
  "notified while a recovery is stored",
  "mailbox incomplete for longer than the limit",
  "mailbox delayed, and told so",
  "mailbox caught up, and told so",
  "address change told",
  "repeated publication",
  "user flagged for re-authorization",
  "user flagged as unavailable",
  "flagging lost a race",
  "fleet guard tripped",
  "announcement repeated or made by the reconciliation",
  "mail sent to a flagged user",
  "mail sent again",
  "unavailable mailbox available again",
  "watch renewed",
  "watch renewal failed",
  "push silent",
  "circuit open",
  "disconnect finished later",
  "changes recovered by a re-authorization",
] as const;

export type Situation = (typeof SITUATIONS)[number];

export interface Counters {
  counts: Counts;
  count(situation: Situation): void;
}

export function createCounters(): Counters {
  const counts: Counts = {};
  return {
    counts,
    count(situation) {
      counts[situation] = (counts[situation] ?? 0) + 1;
    },
  };
}

export function addCounts(sum: Counts, counts: Counts): void {
  for (const situation of SITUATIONS) {
    const count = counts[situation];
    if (count !== undefined) sum[situation] = (sum[situation] ?? 0) + count;
  }
}
