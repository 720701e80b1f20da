import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** A program that runs next to the tests. */
export interface Program {
  /** What it has written so far, to either stream. */
  output(): string;
  /** Resolves once the check holds; rejects when the program ends before that, or takes too long. */
  until(check: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void>;
  /** Asks it to end, then ends whatever is left of it; resolves once all of it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ProgramOptions {
  command: string;
  args: readonly string[];
  cwd?: string;
  /** Added to our own environment; an `undefined` one is taken out of it. */
  env?: Readonly<Record<string, string | undefined>>;
  onOutput?: (text: string) => void;
}

const POLL_MS = 100;
/** A program that does not end by then is ended. */
const STOP_MS_MAX = 15_000;
/** How long the system takes to bury a killed process. */
const GONE_MS_MAX = 5_000;
/** The end of the output is what tells why a program did not start. */
const TAIL_CHARACTERS = 4_000;
const OUTPUT_CHARACTERS_MAX = 50_000_000;

/**
 * Starts a program as the leader of a process group of its own, so that it can be stopped together
 * with everything that it started in turn, and nothing else. It does not outlive this process.
 */
export function startProgram(options: ProgramOptions): Program {
  const { command, args, cwd, env = {}, onOutput } = options;
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-OUTPUT_CHARACTERS_MAX);
      onOutput?.(text);
    });
  }
  let ending: string | undefined;
  child.once("error", (error) => {
    ending = error.message;
  });
  child.once("exit", (code, signal) => {
    ending = `it ended with ${signal ?? `code ${code}`}`;
  });
  const { pid } = child;
  const guard = pid === undefined ? undefined : guardGroup(pid);

  return {
    output: () => output,
    async until(check, timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      while (!(await check())) {
        const why = ending ?? (Date.now() > deadline ? `not ready in ${timeoutMs} ms` : undefined);
        if (why !== undefined) {
          throw new Error(`${command}: ${why}\n${output.slice(-TAIL_CHARACTERS)}`);
        }
        await pause(POLL_MS);
      }
    },
    async stop(signal = "SIGTERM") {
      if (ending === undefined) {
        const ended = once(child, "exit");
        child.kill(signal);
        await Promise.race([ended, pause(STOP_MS_MAX, undefined, { ref: false })]);
      }
      for (let waitedMs = 0; signalGroup(pid, "SIGKILL"); waitedMs += POLL_MS) {
        if (waitedMs > GONE_MS_MAX) throw new Error(`${command} (${pid}) cannot be stopped`);
        await pause(POLL_MS);
      }
      guard?.dismiss();
    },
  };
}

/**
 * Kills a process group when this process ends, however it ends: a shell waits for the end of a
 * pipe that only we hold open. To be dismissed once the group is gone.
 */
export function guardGroup(pid: number): { dismiss(): void } {
  const script = 'cat > /dev/null; kill -s KILL -- "-$1"';
  const guard = spawn("sh", ["-c", script, "guard", String(pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.unref();
  return { dismiss: () => void guard.kill("SIGKILL") };
}

/** False when nobody of the group is there any more. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

const LOOPBACK = "127.0.0.1";
/**
 * Below what systems give to whoever asks for any port, from 32768 on Linux: a server of another
 * test could be given it between our look and the start of the program that it is for.
 */
const PORTS = { from: 20_000, to: 30_000 };

/** The wanted port of loopback if nobody listens there, or any that is free. */
export async function freePort(wanted = 0): Promise<number> {
  const port = wanted || randomInt(PORTS.from, PORTS.to);
  const server = createServer().listen(port, LOOPBACK);
  try {
    await once(server, "listening");
  } catch {
    return freePort();
  }
  server.close();
  await once(server, "close");
  return port;
}

/** True when something on this address answers HTTP at all. */
export async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  }
}
