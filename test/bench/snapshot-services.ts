import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What a snapshot has come to, and what it has cost since it began. */
export interface Told {
  existing: number;
  isComplete: boolean;
  /** Of Gmail's quota. */
  units: number;
}

/** The snapshot to count: of so many messages of a mailbox. */
export interface Begun {
  mailbox: number;
  messages: number;
}

/**
 * Pub/Sub and Gmail for the function that publishes snapshots, in a process of their own: one event
 * loop that served live mail too would let it wait for thousands of messages. Google's does not.
 */
export interface SnapshotServices {
  env: Record<string, string>;
  pid: number;
  begin(snapshot: Begun): Promise<void>;
  told(): Promise<Told>;
  stop(): Promise<void>;
}

export async function startSnapshotServices(): Promise<SnapshotServices> {
  const file = fileURLToPath(new URL("snapshot-services-process.ts", import.meta.url));
  const child = fork(file, { execArgv: ["--import", "tsx"] });
  const { pubsub, google } = await answered<Record<"pubsub" | "google", string>>(child);
  const ask = (question: Begun | "told") => {
    child.send(question);
    return answered<Told>(child);
  };
  return {
    env: { PUBSUB_EMULATOR_HOST: pubsub, GMAIL_EMULATOR_HOST: google },
    pid: child.pid ?? 0,
    begin: async (snapshot) => void (await ask(snapshot)),
    told: () => ask("told"),
    async stop() {
      const ended = once(child, "exit");
      child.kill();
      await ended;
    },
  };
}

async function answered<T>(child: ChildProcess): Promise<T> {
  const [answer] = (await once(child, "message")) as [T];
  return answer;
}
