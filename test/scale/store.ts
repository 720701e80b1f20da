import { fileURLToPath } from "node:url";
import type { UserStore } from "../../functions/src/domain/user.ts";
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
  const timed = Object.entries(users).map(([name, method]) => {
    const request = method as (...args: unknown[]) => Promise<unknown>;
    return [
      name,
      async (...args: unknown[]) => {
        operations.requests += 1;
        const answer = await time.lasting(FIRESTORE_MS, request(...args));
        count(name as keyof UserStore, answer, operations);
        return answer;
      },
    ];
  });
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

/** The stub of Firestore in a process of its own. */
export async function startStore(): Promise<{ host: string; stop(): Promise<void> }> {
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
