import { type Sealed, type User } from "../../../functions/src/domain/user.ts";
import { type Completeness, completeness } from "../../../functions/src/domain/completeness.ts";
import { keyIdOf } from "../../../functions/src/crypto/sealing.ts";
import { overdue } from "../overdue.ts";
import { duration } from "../terminal.ts";

/** Returns a user as an operator sees it: everything but the tokens, not even sealed. */
export function shown(user: User, now: Date) {
  const { id, emailAddress, status, statusReason, statusAt, historyId, watch, followUp } = user;
  const { recent, recovery, ...sync } = user.sync;
  const { generation, scopes, grantedAt, refreshToken, accessToken, accessTokenExpiresAt } =
    user.grant;
  return {
    id,
    emailAddress,
    status,
    statusReason,
    statusAt,
    grant: {
      generation,
      scopes,
      grantedAt,
      refreshToken: shownToken(refreshToken),
      accessToken: shownToken(accessToken, accessTokenExpiresAt),
    },
    historyId,
    watch,
    sync: {
      ...sync,
      unsettledPositions: recent.length,
      ...(recovery !== undefined && {
        recovery: { ...recovery, pages: recovery.pages.length },
      }),
    },
    followUp,
    ...(user.snapshot !== undefined && { snapshot: user.snapshot }),
    ...(user.tags !== undefined && { tags: user.tags }),
    ...(user.language !== undefined && { language: user.language }),
    ...(user.signedOutAt !== undefined && { signedOutAt: user.signedOutAt }),
    overdue: overdue(user, now),
    completeness: completeness(user, now),
  };
}

type ShownToken = { kind: "absent" } | { kind: "present"; keyId: string; expiresAt?: Date };

function shownToken(sealed: Sealed | undefined, expiresAt?: Date): ShownToken {
  if (sealed === undefined) return { kind: "absent" };
  const keyId = keyIdOf(sealed) ?? "unreadable";
  return { kind: "present", keyId, ...(expiresAt !== undefined && { expiresAt }) };
}

/** Returns the completeness of a stream in one sentence. */
export function inWords(proof: Completeness): string {
  const { historyId, completeAt, lagMs, pending, behind, unannounced } = proof;
  const read =
    completeAt === undefined
      ? `not read to its end since it was connected ${duration(lagMs)} ago`
      : `read to its end at ${completeAt.toISOString()}, lag ${duration(lagMs)}`;
  const found =
    unannounced === undefined
      ? "not looked at without a notification yet"
      : `the last look (${unannounced.at.toISOString()}) found ${unannounced.changes} unannounced changes`;
  const open = pending === undefined ? "" : `; pending: ${pending}`;
  const late = behind === undefined ? "" : `; ${describeDelay(behind)}`;
  return `every change up to history id ${historyId} is published; ${read}; ${found}${open}${late}`;
}

function describeDelay({ since, reason, isTold }: NonNullable<Completeness["behind"]>): string {
  const told = isTold ? "subscribers were told" : "subscribers were not told yet";
  return `incomplete since ${since.toISOString()} (${reason}), ${told}`;
}
