import type { Access } from "../domain/access.ts";
import { type User, sameGrant } from "../domain/user.ts";
import { hasLiveToken, openAccess } from "../grant/access.ts";
import { unlessContended } from "../platform/store-error.ts";
import { modify } from "../store/modify.ts";
import type { GmailApiContext, ReadyAccess } from "./context.ts";

/** The client of the subscriber repeats a call that failed for a moment. */
const TRIES_MAX = 1;

/** Opens a mailbox for a call. All calls of one user that need a new access token share one refresh and one write. */
export async function openReady(user: User, context: GmailApiContext): Promise<ReadyAccess> {
  const { refreshes, users, clock } = context;
  if (hasLiveToken(user, clock)) return open(user, context);
  const running = refreshes.get(user.id);
  if (running === undefined) {
    const own = refresh(user, context).finally(() => refreshes.delete(user.id));
    refreshes.set(user.id, own);
    return own;
  }
  const joined = await running;
  if (joined.kind !== "ready") return joined;
  // An access of its own: what one call learns about the token must not confuse another one.
  const stored = await users.find(user.id);
  return sameGrant(user, stored) ? open(stored, context) : { kind: "superseded" };
}

function open(user: User, context: GmailApiContext): ReadyAccess {
  return { kind: "ready", user, access: openAccess(user, context, TRIES_MAX) };
}

async function refresh(user: User, context: GmailApiContext): Promise<ReadyAccess> {
  const access = openAccess(user, context, TRIES_MAX);
  const token = await access.token();
  if (token.kind !== "answered") return token;
  await keepToken(user, access, context);
  return { kind: "ready", user, access };
}

/** Stores the access token that a call obtained, if any. A lost race costs one more refresh. */
export async function keepToken(
  user: User,
  access: Access,
  { users }: Pick<GmailApiContext, "users">,
): Promise<void> {
  const obtained = access.obtained();
  if (obtained === undefined) return;
  await unlessContended(
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
}
