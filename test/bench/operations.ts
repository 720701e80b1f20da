import { type FunctionProcess, type Source, startFunction } from "./function-process.ts";
import { type Row, toRow } from "./rows.ts";
import {
  NOTIFICATION_HEADERS,
  OURS,
  type Stage,
  type StoreOptions,
  notificationOf,
  setStage,
} from "./stage.ts";

const SCHEDULED: Source = { ...OURS, target: "mailboxReconciliation", signatureType: "http" };

interface Case {
  name: string;
  source: Source;
  stored: StoreOptions;
  /** Where the mailbox's history is; the cursor is at 1. */
  head: number;
  act(process: FunctionProcess, stage: Stage): Promise<unknown>;
  /** Requests of all kinds that the case may make. */
  expected: number;
  what: string;
}

const notify = (historyId: number) => (process: FunctionProcess) =>
  process.post(notificationOf(0, historyId), NOTIFICATION_HEADERS);
const schedule = (process: FunctionProcess) => process.post("");

const CASES: readonly Case[] = [
  {
    name: "productive",
    source: OURS,
    stored: {},
    head: 2,
    act: notify(2),
    expected: 4,
    what: "1 read, 1 history.list, 1 publish, 1 write",
  },
  {
    name: "productive.batch",
    source: OURS,
    stored: {},
    head: 401,
    act: notify(401),
    expected: 4,
    what: "the same with 400 changes",
  },
  {
    name: "productive.refresh",
    source: OURS,
    stored: { hasAccessToken: false },
    head: 2,
    act: notify(2),
    expected: 5,
    what: "the same, and the refresh; the token is kept in the same write",
  },
  {
    name: "repeated",
    source: OURS,
    stored: {},
    head: 2,
    act: notify(1),
    expected: 1,
    what: "1 read",
  },
  {
    name: "flagged",
    source: { ...SCHEDULED, target: "watchRenewal" },
    stored: { isFlagged: true },
    head: 1,
    act: schedule,
    expected: 1,
    what: "the empty due list; nothing for the user",
  },
  {
    name: "renewal",
    source: { ...SCHEDULED, target: "watchRenewal" },
    stored: { due: "renewal" },
    head: 1,
    act: schedule,
    expected: 3,
    what: "1 query, 1 watch, 1 write",
  },
  {
    name: "re-check",
    source: SCHEDULED,
    stored: { due: "lag" },
    head: 1,
    act: schedule,
    expected: 4,
    what: "2 due lists, 1 history.list, 1 write",
  },
];

/** Requests over the wire, counted by those who answer them: exact, so one run will do. */
export async function operations(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, source, stored, head, act, expected, what } of CASES) {
    const stage = await setStage();
    try {
      await stage.store(1, stored);
      stage.google.setHead(0, head);
      const started = await startFunction(source, stage.env);
      try {
        stage.firestore.resetOperations();
        await act(started, stage);
        const ours = requestsOf(stage);
        rows.push(toRow(`operations.${name}`, "requests", { ours, reference: expected }, what));
      } finally {
        await started.stop();
      }
    } finally {
      stage.close();
    }
  }
  return rows;
}

function requestsOf({ firestore, pubsub, google }: Stage): number {
  const { queries, gets, commits } = firestore.operations;
  const calls = [...google.calls.values()].reduce((sum, count) => sum + count, 0);
  return queries + gets + commits + pubsub.counts.requests + calls;
}
