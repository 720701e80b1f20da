import type { Access } from "../domain/access.ts";
import { later } from "../domain/clock.ts";
import { err, ok } from "../domain/result.ts";
import { type User, sameGrant } from "../domain/user.ts";
import { hasLiveToken, openAccess } from "../grant/access.ts";
import { unlessContended } from "../platform/store-error.ts";
import { modify } from "../store/modify.ts";
import type { GmailApiContext, ReadyAccess, Refresh } from "./context.ts";

/** The subscriber's client retries a call that failed temporarily. */
const TRIES_MAX = 1;

/** A refresh that failed is not tried again for so long: Google limits them for all users together. */
const FAILED_MS = 5_000;
/** Users whose failed refresh one instance remembers. */
const FAILED_MAX = 1_000;

/** Opens a mailbox for a call. All calls of one user that need a new access token share one refresh and one write. */
export async function openReady(user: User, context: GmailApiContext): Promise<ReadyAccess> {
  const { refreshes, users, clock } = context;
  if (hasLiveToken(user, clock)) return open(user, context);
  const known = refreshes.get(user.id);
  const isOver = known?.failedAt !== undefined && later(known.failedAt, FAILED_MS) <= clock.now();
  if (known === undefined || isOver) return begin(user, context);
  const joined = await known.result;
  if (!joined.ok) return joined;
  // An access of its own: what one call learns about the token must not confuse another one.
  const stored = await users.find(user.id);
  return sameGrant(user, stored) ? open(stored, context) : err("superseded");
}

async function begin(user: User, context: GmailApiContext): Promise<ReadyAccess> {
  const { refreshes, clock } = context;
  const own: Refresh = { result: refresh(user, context) };
  refreshes.delete(user.id);
  refreshes.set(user.id, own);
  let ready: ReadyAccess | undefined;
  try {
    ready = await own.result;
    return ready;
  } finally {
    if (ready?.ok === false && ready.error !== "superseded") own.failedAt = clock.now();
    else refreshes.delete(user.id);
    const [oldest] = refreshes.keys();
    if (refreshes.size > FAILED_MAX && oldest !== undefined) refreshes.delete(oldest);
  }
}

function open(user: User, context: GmailApiContext): ReadyAccess {
  return ok({ user, access: openAccess(user, context, TRIES_MAX) });
}

async function refresh(user: User, context: GmailApiContext): Promise<ReadyAccess> {
  const access = openAccess(user, context, TRIES_MAX);
  const token = await access.token();
  if (!token.ok) return token;
  const kept = await keepToken(user, access, context);
  return kept === "superseded" ? err(kept) : ok({ user, access });
}

/**
 * Stores the access token that a call obtained, if any. A lost race costs one more refresh. Returns
 * `superseded` if the user was flagged, paused, disconnected or erased, or has another grant.
 */
export async function keepToken(
  user: User,
  access: Access,
  { users }: Pick<GmailApiContext, "users">,
): Promise<"current" | "superseded"> {
  const obtained = access.obtained();
  if (obtained === undefined) return "current";
  const kept = await unlessContended(
    modify(
      users,
      user.id,
      (current) => {
        const isKept = current.grant.accessToken === obtained.accessToken;
        if (isKept || !sameGrant(user, current)) return "skip";
        return { grant: { ...current.grant, ...obtained } };
      },
      { what: "an access token" },
    ),
  );
  return kept === undefined || sameGrant(user, kept.user) ? "current" : "superseded";
}
