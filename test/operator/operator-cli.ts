import type { Log } from "../../functions/src/platform/log.ts";
import type { Operator } from "../../infra/cli/operator.ts";
import type { Environment } from "../../infra/cli/session.ts";
import { main } from "../../infra/cli/main.ts";

/** What a command has written, and how it ended. */
export interface CommandResult {
  code: number;
  /** Of stdout. */
  lines: string[];
  /** Of stderr, without the log lines. */
  notes: string[];
  /** The log lines of stderr. */
  logged: Record<string, unknown>[];
}

export interface CommandOptions {
  /** The answer of a person at the terminal. Absent: no person is there. */
  answer?: (question: string) => Promise<string> | string;
  isLookedAt?: boolean;
  env?: Readonly<Record<string, string>>;
}

type Open = (log: Log, settings: Environment) => Operator;

/** Runs a command of `gmail-push mailboxes` in this process. */
export function runCommand(
  open: Open,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return runProgram(["mailboxes", ...args], options, open);
}

/** Runs `gmail-push` in this process; without a store unless `open` is given. */
export async function runProgram(
  args: readonly string[],
  { answer, isLookedAt = false, env = {} }: CommandOptions = {},
  open: Open = () => {
    throw new Error("a command without a store asked for it");
  },
): Promise<CommandResult> {
  const lines: string[] = [];
  const written: string[] = [];
  const code = await main(args, {
    env,
    openOperator: async (log, settings) => open(log, settings),
    operatorName: () => "grace",
    terminal: {
      print: (text) => Promise.resolve(void lines.push(...text.split("\n"))),
      note: (text) => void written.push(...text.split("\n")),
      status: (text) => void written.push(`status ${text}`),
      isInteractive: isLookedAt || answer !== undefined,
      ask: async (question) => (await answer?.(question)) ?? "",
      readInput: () => Promise.resolve(""),
    },
  });
  const isLogged = (line: string) => line.startsWith("{");
  return {
    code,
    lines,
    notes: written.filter((line) => !isLogged(line)),
    logged: written.filter(isLogged).map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}
