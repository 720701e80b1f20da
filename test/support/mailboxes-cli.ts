import type { Log } from "../../functions/src/log.ts";
import type { Operator } from "../../functions/src/services.ts";
import { runMailboxes } from "../../infra/cli/mailboxes/command.ts";

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
  /** Somebody is there, and answers so. Nobody is there unless it is given. */
  answer?: (question: string) => Promise<string> | string;
  isLookedAt?: boolean;
}

/** Runs a command of `npm run mailboxes` in this process. */
export async function runCommand(
  open: (log: Log, projectId?: string) => Operator,
  args: readonly string[],
  { answer, isLookedAt = false }: CommandOptions = {},
): Promise<CommandResult> {
  const lines: string[] = [];
  const written: string[] = [];
  const code = await runMailboxes(args, {
    open,
    operatorName: "grace",
    terminal: {
      print: (line) => Promise.resolve(void lines.push(line)),
      note: (line) => void written.push(line),
      status: (text) => void written.push(`status ${text}`),
      isInteractive: isLookedAt || answer !== undefined,
      ask: async (question) => (await answer?.(question)) ?? "",
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
