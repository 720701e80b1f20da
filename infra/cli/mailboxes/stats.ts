import { type RecordableHistogram, createHistogram } from "node:perf_hooks";
import { completeness } from "../../../functions/src/domain/completeness.ts";
import type { Operator } from "../operator.ts";
import type { DueList, Status, User } from "../../../functions/src/domain/user.ts";
import { overdue } from "../overdue.ts";
import { inWords } from "./user-view.ts";
import { type Terminal, duration, progress } from "../terminal.ts";
import { pagesOfUsers } from "../all-users.ts";

/** Active mailboxes shown by name, the furthest behind first. */
const WORST = 10;
/**
 * Reasons are the receiver's own codes; a store with other reasons costs no more memory than this.
 */
const REASONS_MAX = 100;
const OTHER_REASONS = "(others)";
const WATCH_DAYS_MAX = 7;
const DAY_MS = 86_400_000;

interface Percentiles {
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/**
 * The result of one pass over all users. Watches, lags and notifications are of active users only.
 */
interface Stats {
  at: Date;
  users: number;
  statuses: { status: Status; reason: string; users: number }[];
  /** Watches, by the whole days left. */
  watches: Record<string, number>;
  overdue: Record<DueList, number>;
  /** Active users with an incomplete mailbox, and for how long the oldest has been incomplete. */
  behind: { users: number; oldestMs?: number };
  /** Milliseconds since each mailbox was last read completely; absent without an active user. */
  lagMs?: Percentiles;
  /** Milliseconds since each mailbox was last notified of something new; absent when none was. */
  notifiedAgoMs?: Percentiles & { min: number };
  worst: { id: string; emailAddress: string; completeness: ReturnType<typeof completeness> }[];
}

/** Makes one pass over all users, in memory that does not grow with them. */
export async function stats(
  { users, clock }: Operator,
  terminal: Terminal,
  isJson: boolean,
): Promise<void> {
  const read = progress("users read", terminal, clock.now);
  const tallied = createTally(clock.now());
  for await (const page of pagesOfUsers(users)) {
    for (const user of page.users) tallied.add(user);
    read.add(page.users.length);
  }
  read.end();
  const result = tallied.result();
  if (isJson) return terminal.print(JSON.stringify(result));
  for (const text of lines(result)) await terminal.print(text);
}

function createTally(now: Date): { add(user: User): void; result(): Stats } {
  const lags = createHistogram();
  const notified = createHistogram();
  const watches = Object.fromEntries(WATCH_BUCKETS.map((name) => [name, 0]));
  const tally: Stats = {
    at: now,
    users: 0,
    statuses: [],
    watches,
    overdue: { "sync.dueAt": 0, "watch.renewAt": 0, "followUp.dueAt": 0 },
    behind: { users: 0 },
    worst: [],
  };

  function addActive(user: User): void {
    const bucket = watchBucket(user, now);
    watches[bucket] = (watches[bucket] ?? 0) + 1;
    const proof = completeness(user, now);
    record(lags, proof.lagMs);
    if (proof.behind !== undefined) {
      const ageMs = now.getTime() - proof.behind.since.getTime();
      tally.behind.users += 1;
      tally.behind.oldestMs = Math.max(ageMs, tally.behind.oldestMs ?? 0);
    }
    const { notifiedAt } = user.sync;
    if (notifiedAt !== undefined) record(notified, now.getTime() - notifiedAt.getTime());
    const { id, emailAddress } = user;
    tally.worst = [...tally.worst, { id, emailAddress, completeness: proof }]
      .sort((a, b) => b.completeness.lagMs - a.completeness.lagMs)
      .slice(0, WORST);
  }

  function addStatus({ status, statusReason }: User): void {
    const find = (reason: string) =>
      tally.statuses.find((it) => it.status === status && it.reason === reason);
    const reason =
      find(statusReason) !== undefined || tally.statuses.length < REASONS_MAX
        ? statusReason
        : OTHER_REASONS;
    const found = find(reason);
    if (found === undefined) tally.statuses.push({ status, reason, users: 1 });
    else found.users += 1;
  }

  return {
    add(user) {
      tally.users += 1;
      addStatus(user);
      for (const list of overdue(user, now)) tally.overdue[list] += 1;
      if (user.status === "active") addActive(user);
    },
    result: () => ({
      ...tally,
      ...(lags.count > 0 && { lagMs: percentiles(lags) }),
      ...(notified.count > 0 && {
        notifiedAgoMs: { min: notified.min, ...percentiles(notified) },
      }),
    }),
  };
}

/** Records milliseconds to a thousandth; a histogram begins at 1. */
function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms)));
}

function percentiles(histogram: RecordableHistogram): Percentiles {
  const [p50, p90, p99] = [50, 90, 99].map((percent) => histogram.percentile(percent));
  return { p50: p50 ?? 0, p90: p90 ?? 0, p99: p99 ?? 0, max: histogram.max };
}

const WATCH_BUCKETS = [
  "none",
  "lapsed",
  ...Array.from({ length: WATCH_DAYS_MAX }, (_, days) => `${days} d`),
];

function watchBucket({ watch: { expiresAt } }: User, now: Date): string {
  if (expiresAt === undefined) return "none";
  if (expiresAt <= now) return "lapsed";
  const days = Math.floor((expiresAt.getTime() - now.getTime()) / DAY_MS);
  return `${Math.min(days, WATCH_DAYS_MAX - 1)} d`;
}

function* lines(result: Stats): Generator<string> {
  yield line("users", String(result.users));
  for (const { status, reason, users } of result.statuses) {
    yield line(`  ${status}`, `${users}  ${reason}`);
  }
  yield line("watches left", counts(result.watches));
  yield line("overdue", counts(result.overdue));
  const { behind } = result;
  const oldest =
    behind.oldestMs === undefined ? "" : `, the oldest for ${duration(behind.oldestMs)}`;
  yield line("incomplete", `${behind.users}${oldest}`);
  if (result.lagMs !== undefined) yield line("lag", spread(result.lagMs));
  if (result.notifiedAgoMs !== undefined) {
    const { min, ...rest } = result.notifiedAgoMs;
    yield line("last notification", `${duration(min)} ago; per mailbox ${spread(rest)}`);
  }
  for (const { id, emailAddress, completeness: proof } of result.worst) {
    yield line(`${emailAddress} (${id})`, inWords(proof));
  }
}

function line(name: string, value: string): string {
  return `${name.padEnd(28)}  ${value}`;
}

function counts(named: Readonly<Record<string, number>>): string {
  return Object.entries(named)
    .map(([name, count]) => `${name}: ${count}`)
    .join(", ");
}

function spread(percentilesMs: Percentiles): string {
  return Object.entries(percentilesMs)
    .map(([name, ms]) => `${name} ${duration(ms)}`)
    .join(", ");
}
