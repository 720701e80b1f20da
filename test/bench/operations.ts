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

const RENEWAL: Source = { ...OURS, target: "watchRenewal", signatureType: "http" };
const RECONCILIATION: Source = { ...RENEWAL, target: "mailboxReconciliation" };

/** Requests by what they ask for: methods of Google's, and those of Firestore and Pub/Sub. */
export type Requests = Record<string, number>;

interface Case {
  name: string;
  source: Source;
  stored: StoreOptions;
  /** Where the mailbox's history is; the cursor is at 1. */
  head: number;
  act(process: FunctionProcess): Promise<number>;
  expected: Requests;
  what: string;
}

const notify = (historyId: number) => (process: FunctionProcess) =>
  process.post(notificationOf(0, historyId), NOTIFICATION_HEADERS);
const schedule = (process: FunctionProcess) => process.post("");

const SYNC: Requests = { query: 1, "history.list": 1, publish: 1, commit: 1 };

const CASES: readonly Case[] = [
  {
    name: "productive",
    source: OURS,
    stored: {},
    head: 2,
    act: notify(2),
    expected: SYNC,
    what: "1 read, 1 history.list, 1 publish, 1 write",
  },
  {
    name: "productive.batch",
    source: OURS,
    stored: {},
    head: 401,
    act: notify(401),
    expected: SYNC,
    what: "the same with 400 changes",
  },
  {
    name: "productive.refresh",
    source: OURS,
    stored: { hasAccessToken: false },
    head: 2,
    act: notify(2),
    expected: { ...SYNC, "token.refresh": 1 },
    what: "the same, and the refresh; the token is kept in the same write",
  },
  {
    name: "repeated",
    source: OURS,
    stored: {},
    head: 2,
    act: notify(1),
    expected: { query: 1 },
    what: "1 read",
  },
  {
    name: "flagged",
    source: RENEWAL,
    stored: { isFlagged: true },
    head: 1,
    act: schedule,
    expected: { query: 1 },
    what: "the empty due list; nothing for the user",
  },
  {
    name: "renewal",
    source: RENEWAL,
    stored: { due: "renewal" },
    head: 1,
    act: schedule,
    expected: { query: 1, "users.watch": 1, "users.getProfile": 1, commit: 1 },
    what: "1 query, 1 watch, 1 profile, 1 write",
  },
  {
    name: "re-check",
    source: RECONCILIATION,
    stored: { due: "lag" },
    head: 1,
    act: schedule,
    expected: { query: 3, "history.list": 1, commit: 1 },
    what: "the oldest incomplete mailbox, 2 due lists, 1 history.list, 1 write",
  },
];

/** What a case costs, and what it may, by kind of request. */
export interface CaseCost {
  name: string;
  ours: Requests;
  expected: Requests;
  what: string;
}

/** Requests over the wire, counted by those who answer them: exact, so one run will do. */
export async function countRequests(): Promise<CaseCost[]> {
  const costs: CaseCost[] = [];
  for (const { name, source, stored, head, act, expected, what } of CASES) {
    const stage = await setStage();
    try {
      await stage.store(1, stored);
      stage.google.setHead(0, head);
      const started = await startFunction(source, stage.env);
      try {
        stage.firestore.resetOperations();
        const status = await act(started);
        if (status >= 300) throw new Error(`${name}: ${status}\n${started.output()}`);
        costs.push({ name, ours: requestsOf(stage), expected, what });
      } finally {
        await started.stop();
      }
    } finally {
      stage.close();
    }
  }
  return costs;
}

export async function operations(): Promise<Row[]> {
  const sum = (requests: Requests) => Object.values(requests).reduce((all, each) => all + each, 0);
  const costs = await countRequests();
  return costs.map(({ name, ours, expected, what }) => {
    const figures = { ours: sum(ours), reference: sum(expected) };
    return toRow(`operations.${name}`, "requests", figures, what);
  });
}

/** Only what there was. */
function requestsOf({ firestore, pubsub, google }: Stage): Requests {
  const { queries, gets, commits } = firestore.operations;
  const { requests: publish } = pubsub.counts;
  const counted = { query: queries, get: gets, commit: commits, publish };
  return Object.fromEntries([
    ...Object.entries(counted).filter(([, count]) => count > 0),
    ...google.calls,
  ]);
}
