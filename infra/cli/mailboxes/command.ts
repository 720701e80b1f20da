import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../../../functions/src/context.ts";
import { type Operator, withOperator } from "../operator.ts";
import type { User } from "../../../functions/src/domain/user.ts";
import { CommandError, usageError } from "../errors.ts";
import type { Session } from "../session.ts";
import type { Terminal } from "../terminal.ts";
import { type Where, whereOptions } from "../where.ts";
import {
  type ActionResult,
  flagNow,
  forgetNow,
  pauseNow,
  renewNow,
  resumeNow,
  snapshotNow,
  syncNow,
} from "./actions.ts";
import { findUser } from "./find-user.ts";
import { importGrants } from "./import/import.ts";
import { type ListOptions, list } from "./list.ts";
import { show } from "./show.ts";
import { stats } from "./stats.ts";

const STATUSES = [
  "active",
  "reauthorization_required",
  "mailbox_unavailable",
  "paused",
  "disconnected",
];
const LIMIT_MAX = 1_000_000_000;
const DAYS_MAX = 3_650;

const HELP = `
With --project, it reads the settings that the functions were deployed with (this takes
roles/cloudfunctions.viewer, and for what needs keys roles/secretmanager.secretAccessor and
roles/cloudkms.cryptoKeyDecrypter). Without, the variables of the functions configure it, and it
works on the emulators that FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST and GMAIL_EMULATOR_HOST
name.`;

/** Defines `gmail-push mailboxes`, which shows the mailboxes of a deployment and acts on them. */
export function defineMailboxes(mailboxes: Command, session: Session): void {
  const { terminal, log, isJson, operatorName } = session;
  whereOptions(mailboxes, session.env).addHelpText("after", HELP);

  function open(work: (operator: Operator) => Promise<void>): Promise<void> {
    return withOperator(session, work, mailboxes.opts<Where>());
  }

  /**
   * Defines a command that acts: it asks for confirmation, and logs an audit line before and after.
   */
  function act(
    command: string,
    name: string,
    run: (user: User, context: Context) => Promise<ActionResult>,
    confirmation?: { question(user: User): string; yes?: true },
  ): Promise<void> {
    return open(async (operator) => {
      const user = await findUser(name, operator.users);
      if (confirmation !== undefined && confirmation.yes === undefined) {
        await confirm(confirmation.question(user), terminal);
      }
      const audit = log.with({ command, userId: user.id, operator: operatorName() });
      const context = await operator.getContext();
      audit.info("operator_command", "an operator acts on a mailbox");
      const { isDone, outcome, text } = await run(user, context);
      audit.info("operator_command_ended", "an operator has acted on a mailbox", { outcome });
      const result = JSON.stringify({ command, userId: user.id, isDone, outcome });
      await terminal.print(isJson() ? result : text);
      if (!isDone) throw new CommandError(`${command} is not done: ${outcome}`);
    });
  }

  mailboxes
    .command("list")
    .description("list the mailboxes that fit; reads one document for each user")
    .addOption(new Option("--status <status>").choices(STATUSES))
    .option("--reason <code>", "the stable code of the status, as in statusReason")
    .option("--address <part>", "a part of the address")
    .option("--tag <name=value>", "a tag of the connection; give several to need all", addTag)
    .option("--overdue", "work for them is overdue")
    .option("--behind", "more may have happened than is published: since when, and why")
    .option(
      "--watch-expires <days>",
      "the watch ends within so many days",
      wholeNumber(0, DAYS_MAX),
    )
    .option("--limit <count>", "how many at most", wholeNumber(1, LIMIT_MAX), 100)
    .action((options: ListOptions) =>
      open((operator) => list(operator, terminal, options, isJson())),
    );
  mailboxes
    .command("show <user>")
    .description("show one mailbox, by user id or address; no token, not even sealed")
    .action((name: string) => open((operator) => show(operator, terminal, name, isJson())));
  mailboxes
    .command("stats")
    .description("count all mailboxes and name the furthest behind; reads one document for each")
    .action(() => open((operator) => stats(operator, terminal, isJson())));
  mailboxes
    .command("sync <user>")
    .description("read and publish what is new now, as the functions do")
    .action((name: string) => act("sync", name, syncNow));
  mailboxes
    .command("renew <user>")
    .description("renew the watch now")
    .action((name: string) => act("renew", name, renewNow));
  mailboxes
    .command("pause <user>")
    .description("stop all work for a mailbox; keeps the grant and the position in its history")
    .option("--reason <code>", "why, as a stable code that subscribers read", reasonCode)
    .action((name: string, { reason = "operator_request" }: { reason?: string }) =>
      act("pause", name, (user, context) => pauseNow(user, reason, context)),
    );
  mailboxes
    .command("resume <user>")
    .description("resume a paused mailbox, and publish what happened in the meantime")
    .action((name: string) => act("resume", name, resumeNow));
  mailboxes
    .command("snapshot <user>")
    .description("publish the mail since a date as mailbox.message.existing, in the background")
    .requiredOption("--since <date>", "a date in UTC, as 2026-01-31", pastDate)
    .action((name: string, { since }: { since: Date }) =>
      act("snapshot", name, (user, context) => snapshotNow(user, since, context)),
    );
  mailboxes
    .command("flag <user>")
    .description("suspend a mailbox until its person authorizes again; removes the tokens")
    .requiredOption("--reason <code>", "why, as a stable code that subscribers read", reasonCode)
    .option("--yes", "do not ask for confirmation")
    .action((name: string, { reason, yes }: { reason: string; yes?: true }) =>
      act("flag", name, (user, context) => flagNow(user, reason, context), {
        ...(yes !== undefined && { yes }),
        question: (user) => `Suspend ${user.emailAddress} (${user.id}) until they authorize again?`,
      }),
    );
  mailboxes
    .command("import <file>")
    .description(
      "adopt grants that people gave to this OAuth client before; continues when repeated",
    )
    .action((file: string) => open((operator) => importGrants(file, operator, session)));
  mailboxes
    .command("forget <user>")
    .description("erase everything of a person; run again after a crash, it finishes")
    .option("--yes", "do not ask for confirmation")
    .action((name: string, { yes }: { yes?: true }) =>
      act("forget", name, forgetNow, {
        ...(yes !== undefined && { yes }),
        question: (user) =>
          `End the grant of ${user.emailAddress} (${user.id}, ${user.status}) and erase all of it?`,
      }),
    );
}

async function confirm(question: string, terminal: Terminal): Promise<void> {
  if (!terminal.isInteractive) throw usageError("there is no terminal to confirm at: give --yes");
  const answer = await terminal.ask(`${question} Type yes to go on: `);
  if (answer.trim() !== "yes") throw new CommandError("nothing was done");
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It is not a whole number from ${min} to ${max}.`);
  };
}

/** Adds a tag to the earlier ones. */
function addTag(text: string, earlier: Readonly<Record<string, string>> = {}) {
  const [, name, value] = /^([a-z0-9-]{1,32})=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return { ...earlier, [name]: value };
  throw new InvalidArgumentError("It is not name=value with a name of a-z, 0-9 and -.");
}

function pastDate(text: string): Date {
  const date = new Date(/^\d{4}-\d{2}-\d{2}$/.test(text) ? text : Number.NaN);
  if (date.getTime() <= Date.now()) return date;
  throw new InvalidArgumentError("It is not a date of the past, as 2026-01-31.");
}

function reasonCode(text: string): string {
  if (/^[a-z][a-z0-9_]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError("It is not a code of a-z, 0-9 and _, at most 64.");
}
