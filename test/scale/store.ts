import { fileURLToPath } from "node:url";
import type { Clock } from "../../functions/src/domain/clock.ts";
import type { UserStore } from "../../functions/src/domain/user.ts";
import type { Log } from "../../functions/src/platform/log.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import type { StoreKind } from "./figures.ts";
import type { StoreUsers } from "./fleet.ts";
import { indexedUsers } from "./indexed-users.ts";
import { startProgram } from "../support/program.ts";
import type { SimulatedTime } from "./time.ts";

/** What Firestore bills: documents, and a thousand entries of an index that a count reads. */
export interface Operations {
  requests: number;
  reads: number;
  writes: number;
}

/** One request to Firestore from the same region. */
export const FIRESTORE_MS = 20;
const START_MS_MAX = 60_000;
const COUNTED_AS_ONE = 1_000;

/** A store whose requests take simulated time, and are counted. */
export function timedStore(
  users: UserStore,
  time: SimulatedTime,
  operations: Operations,
): UserStore {
  const methods = Object.entries(users).filter(([, method]) => typeof method === "function");
  const timed = methods.map(([name, method]) => [
    name,
    async (...args: unknown[]) => {
      operations.requests += 1;
      const answer = await time.lasting(FIRESTORE_MS, method(...args));
      count(name as keyof UserStore, answer, operations);
      return answer;
    },
  ]);
  return Object.fromEntries(timed) as UserStore;
}

function count(method: keyof UserStore, answer: unknown, operations: Operations): void {
  switch (method) {
    case "update":
    case "postpone":
    case "noteFlagging":
    case "writeFleetGuard":
      operations.writes += 1;
      return;
    case "find":
    case "readFleetGuard":
      operations.reads += 1;
      return;
    case "countFlaggings":
    case "countActive":
      operations.reads += Math.max(1, Math.ceil((answer as number) / COUNTED_AS_ONE));
      return;
    case "listDue":
    case "listAll":
      operations.reads += Math.max(1, (answer as { users: unknown[] }).users.length);
      return;
    case "findByEmailAddress":
      operations.reads += 1;
      return;
    case "listBehind":
    case "listByEmailAddress":
      operations.reads += Math.max(1, (answer as unknown[]).length);
      return;
    default:
      throw new Error(`nothing here calls ${method}`);
  }
}

/** The users of a run, and how they are stored before it. */
export interface OpenStore {
  users: UserStore;
  storeUsers: StoreUsers;
  close(): Promise<void>;
}

export async function openStore(kind: StoreKind, log: Log, clock: Clock): Promise<OpenStore> {
  if (kind === "memory") {
    const users = indexedUsers(clock);
    return {
      users,
      async storeUsers(some) {
        for (const [id, content] of some) await users.authorize(id, () => content);
      },
      close: () => Promise.resolve(),
    };
  }
  const stub = kind === "stub" ? await startStub() : undefined;
  const database = openDatabase({
    host: kind === "stub" ? (stub?.host ?? "") : kind.firestoreHost,
  });
  return {
    users: firestoreUsers(database, log, clock),
    async storeUsers(some) {
      const batch = database.batch();
      for (const [id, content] of some) batch.set(database.doc(`users/${id}`), { ...content });
      await batch.commit();
    },
    async close() {
      await database.terminate();
      await stub?.stop();
    },
  };
}

/** The stub of Firestore in a process of its own. */
async function startStub(): Promise<{ host: string; stop(): Promise<void> }> {
  const file = fileURLToPath(new URL("store-process.ts", import.meta.url));
  const args = ["--max-old-space-size=4096", "--import", "tsx", file];
  const program = startProgram({ command: process.execPath, args });
  const host = () => /^host (\S+)$/m.exec(program.output())?.[1];
  try {
    await program.until(() => host() !== undefined, START_MS_MAX);
  } catch (error) {
    await program.stop();
    throw error;
  }
  return { host: host() ?? "", stop: () => program.stop() };
}
