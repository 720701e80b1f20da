import pLimit from "p-limit";
import { type Adoption, adoptGrant } from "../../../../functions/src/connect/adoption.ts";
import type { Context } from "../../../../functions/src/context.ts";
import { pacedWatches } from "../../../../functions/src/mailbox/watch.ts";
import { type Log, describeUnknown } from "../../../../functions/src/platform/log.ts";
import { CommandError } from "../../errors.ts";
import type { Operator } from "../../operator.ts";
import type { Session } from "../../session.ts";
import { progress } from "../../terminal.ts";
import { type GrantLine, readGrantsFile } from "./grants-file.ts";
import { type RotatedTokens, openRotatedTokens } from "./rotated-tokens.ts";

/** Grants that are adopted at the same time. */
const CONCURRENCY = 8;
/** The share of Gmail's quota for all of them: renewals and syncs have the rest. */
const QUOTA_SHARE = 0.25;

/** What became of one line. `failed` lines are tried again by the next run. */
type Outcome = Adoption["kind"];

const OUTCOMES = ["adopted", "adopted_before", "known", "refused", "failed"] as const;

/**
 * Adopts the grants of a file, which is checked whole before anything is done. The same command
 * continues after a crash: what is stored is left as it is. Every line that is not adopted is named
 * by its number, without its token.
 */
export async function importGrants(
  file: string,
  operator: Operator,
  session: Session,
): Promise<void> {
  const { terminal, isJson, operatorName } = session;
  const grants = await readGrantsFile(file, terminal.note);
  const context = await operator.getContext();
  const journal = `${file}.rotated`;
  const rotated = await openRotatedTokens(journal, context.envelope);
  const audit = session.log.with({ command: "import", operator: operatorName() });
  audit.info("operator_command", "an operator imports grants", { grants: grants.length });

  const counts: Record<Outcome, number> = {
    adopted: 0,
    adopted_before: 0,
    known: 0,
    refused: 0,
    failed: 0,
  };
  let isDone = false;
  try {
    const done = progress(`of ${grants.length} grants`, terminal, context.clock.now);
    await adoptAll(grants, rotated, context, audit, async (grant, adoption) => {
      counts[adoption.kind] += 1;
      done.add(1);
      if (isJson()) await terminal.print(JSON.stringify(toRecord(grant, adoption)));
      else if (!isQuiet(adoption)) await terminal.print(describe(grant, adoption));
    });
    done.end();
    isDone = counts.refused + counts.failed === 0;
  } finally {
    // With its tokens, another run recognizes the grants that are stored.
    await rotated.close();
  }

  const outcome = isDone ? "imported" : "incomplete";
  audit.info("operator_command_ended", "an operator has imported grants", { outcome, ...counts });
  const summary = OUTCOMES.map((name) => `${name}: ${counts[name]}`).join(", ");
  const result = { command: "import", isDone, outcome, grants: counts };
  await terminal.print(isJson() ? JSON.stringify(result) : summary);
  if (isDone) return;
  const advice = [
    ...(counts.failed > 0 ? ["run the same command again for the failed lines"] : []),
    ...(rotated.isNeeded() ? [`keep ${journal}: it has newer tokens than ${file}`] : []),
  ];
  throw new CommandError(`import is not done: ${counts.refused + counts.failed} lines are left`, {
    ...(advice.length > 0 && { fix: advice.join("; ") }),
  });
}

/** Stops early when Google rejects our configuration: every other line would fail alike. */
async function adoptAll(
  grants: readonly GrantLine[],
  rotated: RotatedTokens,
  context: Context,
  log: Log,
  report: (grant: GrantLine, adoption: Adoption) => Promise<void>,
): Promise<void> {
  const limit = pLimit(CONCURRENCY);
  const pace = pacedWatches(QUOTA_SHARE, context);
  let stopped: Adoption | undefined;

  async function adopt(grant: GrantLine): Promise<Adoption> {
    if (stopped !== undefined) return stopped;
    const replaced = [grant.refreshToken, ...rotated.find(grant.digest)];
    const refreshToken = replaced.pop() ?? grant.refreshToken;
    try {
      return await adoptGrant({ ...grant, refreshToken, replaced }, context, {
        pace,
        keepRotated: (token) => rotated.keep(grant.digest, token),
      });
    } catch (error) {
      return { kind: "failed", reason: describeUnknown(error), isOurs: false };
    }
  }

  const turns = grants.map((grant) =>
    limit(async () => {
      const adoption = await adopt(grant);
      if (adoption.kind === "failed" && adoption.isOurs) stopped ??= adoption;
      if (adoption.kind === "adopted") logAdopted(adoption, log);
      await report(grant, adoption);
    }),
  );
  await Promise.all(turns);
}

function logAdopted({ connected }: Extract<Adoption, { kind: "adopted" }>, log: Log): void {
  const { user, recoveredChanges, isCaughtUp, isWatched } = connected;
  log.info("user_connected", "an import connected a mailbox", {
    userId: user.id,
    generation: user.grant.generation,
    recoveredChanges,
    isCaughtUp,
    isWatched,
  });
}

/** Adopted lines are only counted. */
function isQuiet({ kind }: Adoption): boolean {
  return kind === "adopted" || kind === "adopted_before";
}

function describe({ number }: GrantLine, adoption: Adoption): string {
  switch (adoption.kind) {
    case "adopted":
      return `line ${number}: adopted as ${adoption.connected.user.id}`;
    case "adopted_before":
      return `line ${number}: adopted before as ${adoption.userId}`;
    case "known":
      return `line ${number}: left as it is: user ${adoption.userId} is ${adoption.status}`;
    case "refused":
      return `line ${number}: refused: ${explain(adoption.reason)}`;
    case "failed":
      return `line ${number}: failed: ${adoption.reason}`;
  }
}

/** Returns a reason with what to do about it. Google's own codes stand for themselves. */
function explain(reason: string): string {
  const advice = ADVICE[reason];
  return advice === undefined ? reason : `${reason} (${advice})`;
}

const ADVICE: Readonly<Record<string, string>> = {
  invalid_grant: "Google no longer accepts the token: the person has to connect",
  unauthorized_client: "the token belongs to another OAuth client than OAUTH_CLIENT_ID",
  identity_missing: "the grant lacks the scope openid: the person has to connect",
  scopes_missing: "the grant lacks a scope of GMAIL_SCOPES: the person has to connect",
  domain_refused: "the account belongs to none of ALLOWED_DOMAINS",
  address_unverified: "Google has not verified the address",
};

function toRecord({ number }: GrantLine, adoption: Adoption): object {
  const { kind: outcome, ...details } = adoption;
  const line = { command: "import", line: number, outcome };
  if (adoption.kind === "adopted") return { ...line, userId: adoption.connected.user.id };
  const { isOurs: _, ...shown } = details as { isOurs?: boolean };
  return { ...line, ...shown };
}
