import { Command, CommanderError } from "commander";
import { ConfigError } from "../../functions/src/config/config.ts";
import { KeyManagementFailure, KeysUnusable } from "../../functions/src/google/key-management.ts";
import { createLog, describeUnknown } from "../../functions/src/platform/log.ts";
import { CommandError, EXIT, type ExitCode } from "./errors.ts";
import type { Machine, Session } from "./session.ts";
import { escaping } from "./terminal.ts";

/** Each command loads its own code, and what it needs of Google's libraries. */
const COMMANDS: readonly {
  name: string;
  description: string;
  load(): Promise<(command: Command, session: Session) => void>;
}[] = [
  {
    name: "doctor",
    description: "Checks a deployment, and says how to fix what is wrong. It changes nothing.",
    load: async () => (await import("./doctor/command.ts")).defineDoctor,
  },
  {
    name: "mailboxes",
    description: "Shows the mailboxes of a deployment, and acts on them.",
    load: async () => (await import("./mailboxes/command.ts")).defineMailboxes,
  },
  {
    name: "keys",
    description: "The key ring that seals tokens: make, wrap, rotate, verify.",
    load: async () => (await import("./keys/command.ts")).defineKeys,
  },
  {
    name: "risc",
    description: "Registers securityEvent for Google's security events (Cross-Account Protection).",
    load: async () => (await import("./risc/command.ts")).defineRisc,
  },
  {
    name: "costs",
    description:
      "What a fleet costs a month, where what is free ends, and which limit comes first.",
    load: async () => (await import("./costs/command.ts")).defineCosts,
  },
];

const EXIT_CODES = `
Exit codes: 0 done; 1 not done, or not all of it; 2 wrong usage or configuration, nothing was done;
3 (doctor) nothing is known to be wrong, but not everything could be checked.`;

/**
 * Runs `gmail-push <command>`, the operator's program, and resolves to the exit code. Results go to
 * standard output; errors, progress and log lines go to standard error.
 */
export async function main(args: readonly string[], machine: Machine): Promise<ExitCode> {
  const terminal = escaping(machine.terminal);
  let exitCode: ExitCode = EXIT.done;
  const program = new Command("gmail-push")
    .description("Checks, operates and prices a deployment of the Gmail push receiver.")
    .option("--json", "print JSON, one object a line")
    .addHelpText("afterAll", EXIT_CODES)
    .configureHelp({ showGlobalOptions: true })
    .helpCommand(false)
    .showHelpAfterError("(see --help)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.note(text.trimEnd()),
    });
  const session: Session = {
    ...machine,
    terminal,
    log: createLog((line) => terminal.note(line)),
    isJson: () => program.opts<{ json?: true }>().json === true,
    endWith(code) {
      exitCode = code;
    },
  };
  try {
    for (const { name, description, load } of COMMANDS) {
      const command = program.command(name).description(description).helpCommand(false);
      if (args.includes(name)) (await load())(command, session);
    }
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    const { lines, code } = explain(error);
    for (const line of lines) terminal.note(line);
    const isNamed = args.some((arg) => arg.startsWith("--project"));
    if (error instanceof ConfigError && !isNamed) {
      terminal.note("Or give --project PROJECT, to use the settings of the deployment there.");
    }
    return code;
  }
}

function explain(error: unknown): { lines: readonly string[]; code: ExitCode } {
  // Commander has printed its message or the requested help.
  if (error instanceof CommanderError) {
    return { lines: [], code: error.exitCode === 0 ? EXIT.done : EXIT.usage };
  }
  if (error instanceof CommandError) {
    const { message, fix, exitCode } = error;
    return { lines: [`error: ${message}`, ...(fix === undefined ? [] : [fix])], code: exitCode };
  }
  if (error instanceof ConfigError) {
    const problems = error.problems.map((problem) => `  ${problem}`);
    return { lines: ["error: the configuration cannot be used:", ...problems], code: EXIT.usage };
  }
  if (error instanceof KeysUnusable) {
    return { lines: [`error: ${error.message}`], code: EXIT.usage };
  }
  if (error instanceof KeyManagementFailure) {
    return { lines: [`error: ${error.message}`], code: EXIT.failed };
  }
  return { lines: [`error: ${describeUnknown(error)}`, ...framesOf(error)], code: EXIT.failed };
}

/**
 * Returns the places in the code that a bug came from. Errors of the network and of Google's
 * libraries have a code, which says more. The message is left out because it can contain a token.
 */
function framesOf(error: unknown): string[] {
  if (!(error instanceof Error) || "code" in error) return [];
  return (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
}
