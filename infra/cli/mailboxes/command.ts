import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { ConfigError } from "../../../functions/src/config.ts";
import { KeysUnusable } from "../../../functions/src/google/key-management.ts";
import { type Log, createLog, describeUnknown } from "../../../functions/src/log.ts";
import type { Services } from "../../../functions/src/receiver.ts";
import type { Operator } from "../../../functions/src/services.ts";
import type { User } from "../../../functions/src/user.ts";
import { type Acted, flagNow, forgetNow, renewNow, syncNow } from "./actions.ts";
import { type ListOptions, list } from "./list.ts";
import { show } from "./show.ts";
import { stats } from "./stats.ts";
import { CannotDo, type Terminal, WrongUsage, printable } from "../terminal.ts";
import { findUser } from "../all-users.ts";

/** What `npm run mailboxes` needs of the machine it runs on. */
export interface Surroundings {
  terminal: Terminal;
  /** Throws `ConfigError`. */
  open(log: Log, projectId?: string): Operator;
  /** Who is at work, for the audit lines. */
  operatorName: string;
}

const OK = 0;
const FAILED = 1;
const USAGE = 2;

const STATUSES = ["active", "reauthorization_required", "mailbox_unavailable", "disconnected"];
const LIMIT_MAX = 1_000_000_000;
const DAYS_MAX = 3_650;

/** Runs one command; resolves to the exit code: 0 done, 1 not done, 2 not asked for properly. */
export async function runMailboxes(
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  // Addresses and reasons come from outside: nothing of them may draw on the terminal.
  const terminal: Terminal = {
    ...surroundings.terminal,
    async print(text) {
      for (const line of text.split("\n")) await surroundings.terminal.print(printable(line));
    },
    note(text) {
      for (const line of text.split("\n")) surroundings.terminal.note(printable(line));
    },
    ask: (question) => surroundings.terminal.ask(printable(question)),
  };
  try {
    await createProgram({ ...surroundings, terminal }).parseAsync(args, { from: "user" });
    return OK;
  } catch (error) {
    return explain(error, terminal);
  }
}

function explain(error: unknown, terminal: Terminal): number {
  // Commander has said by then what is wrong.
  if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE;
  if (error instanceof ConfigError) {
    terminal.note("the configuration is not usable:");
    for (const problem of error.problems) terminal.note(`  ${problem}`);
    return USAGE;
  }
  if (error instanceof KeysUnusable) {
    terminal.note(error.message);
    return USAGE;
  }
  if (error instanceof WrongUsage || error instanceof CannotDo) {
    terminal.note(error.message);
    return error instanceof WrongUsage ? USAGE : FAILED;
  }
  terminal.note(`failed: ${describeUnknown(error)}`);
  return FAILED;
}

function createProgram({ terminal, open, operatorName }: Surroundings): Command {
  const program = new Command("mailboxes")
    .description(
      "Looks at the mailboxes of a deployment, and acts on them. Configured as its functions are; " +
        "works on the emulators that FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST and " +
        "GMAIL_EMULATOR_HOST name. Results go to stdout, log lines and everything else to stderr.",
    )
    .option("--project <id>", "in place of GOOGLE_CLOUD_PROJECT")
    .option("--json", "one JSON object a line")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.note(text.trimEnd()),
    });
  const log = createLog((line) => terminal.note(line));
  const isJson = () => program.opts<{ json?: true }>().json === true;

  async function withOperator(work: (operator: Operator) => Promise<void>): Promise<void> {
    const operator = open(log, program.opts<{ project?: string }>().project);
    try {
      await work(operator);
    } finally {
      await operator.close();
    }
  }

  /** A command that acts: confirmed, with an audit line before and one after. */
  function act(
    command: string,
    name: string,
    run: (user: User, services: Services) => Promise<Acted>,
    confirmation?: { question(user: User): string; yes?: true },
  ): Promise<void> {
    return withOperator(async (operator) => {
      const user = await findUser(name, operator.users);
      if (confirmation !== undefined && confirmation.yes === undefined) {
        await confirm(confirmation.question(user), terminal);
      }
      const audit = log.with({ command, userId: user.id, operator: operatorName });
      const services = await operator.getServices();
      audit.info("operator_command", "an operator acts on a mailbox");
      const { isDone, outcome, text } = await run(user, services);
      audit.info("operator_command_ended", "an operator has acted on a mailbox", { outcome });
      const result = JSON.stringify({ command, userId: user.id, isDone, outcome });
      await terminal.print(isJson() ? result : text);
      if (!isDone) throw new CannotDo(`${command} is not done: ${outcome}`);
    });
  }

  program
    .command("list")
    .description("lists the mailboxes that fit; one document read for each user there is")
    .addOption(new Option("--status <status>").choices(STATUSES))
    .option("--reason <code>", "the stable code of the status, as in statusReason")
    .option("--address <part>", "a part of the address")
    .option("--overdue", "what should have been done for them was not")
    .option("--behind", "more may have happened than is published: since when, and why")
    .option(
      "--watch-expires <days>",
      "the watch ends within so many days",
      wholeNumber(0, DAYS_MAX),
    )
    .option("--limit <count>", "how many at most", wholeNumber(1, LIMIT_MAX), 100)
    .action((options: ListOptions) =>
      withOperator((operator) => list(operator, terminal, options, isJson())),
    );
  program
    .command("show <user>")
    .description("shows one mailbox, by user id or address; no token, not even sealed")
    .action((name: string) => withOperator((operator) => show(operator, terminal, name, isJson())));
  program
    .command("stats")
    .description("counts all mailboxes: one document read for each; the furthest behind by name")
    .action(() => withOperator((operator) => stats(operator, terminal, isJson())));
  program
    .command("sync <user>")
    .description("reads and publishes what is new now, as the functions do")
    .action((name: string) => act("sync", name, syncNow));
  program
    .command("renew <user>")
    .description("makes the watch again now")
    .action((name: string) => act("renew", name, renewNow));
  program
    .command("flag <user>")
    .description("suspends a mailbox until its person authorizes again; removes the tokens")
    .requiredOption("--reason <code>", "why, as a stable code that subscribers read", reasonCode)
    .option("--yes", "without asking")
    .action((name: string, { reason, yes }: { reason: string; yes?: true }) =>
      act("flag", name, (user, services) => flagNow(user, reason, services), {
        ...(yes !== undefined && { yes }),
        question: (user) => `Suspend ${user.emailAddress} (${user.id}) until they authorize again?`,
      }),
    );
  program
    .command("forget <user>")
    .description("erases everything of a person; started again after a crash, it finishes")
    .option("--yes", "without asking")
    .action((name: string, { yes }: { yes?: true }) =>
      act("forget", name, forgetNow, {
        ...(yes !== undefined && { yes }),
        question: (user) =>
          `End the grant of ${user.emailAddress} (${user.id}, ${user.status}) and erase all of it?`,
      }),
    );
  return program;
}

async function confirm(question: string, terminal: Terminal): Promise<void> {
  if (!terminal.isInteractive) throw new WrongUsage("nobody is there to confirm: say --yes");
  const answer = await terminal.ask(`${question} Type yes to go on: `);
  if (answer.trim() !== "yes") throw new CannotDo("nothing was done");
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It is not a whole number from ${min} to ${max}.`);
  };
}

function reasonCode(text: string): string {
  if (/^[a-z][a-z0-9_]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError("It is not a code of a-z, 0-9 and _, at most 64.");
}
