import { openAccess } from "./access.ts";
import type { GrantContext } from "./context.ts";
import { hasFailed } from "../domain/access.ts";
import { afterProfile, isSameAddresses } from "../domain/addresses.ts";
import { announceAddresses } from "./address.ts";
import type { EmailAddress } from "../domain/email-address.ts";
import { modify } from "../store/modify.ts";
import { unlessContended } from "../platform/store-error.ts";
import { type User, type UserId, type UserPatch, sameGrant } from "../domain/user.ts";
import { displaced } from "../domain/transitions.ts";

/**
 * Updates the other users that are stored with an address that now belongs to `holder`. Gmail
 * decides, called with each user's own grant: a living grant keeps its stream and gets its new
 * address; a dead one becomes `disconnected` and keeps its cursor, so that a later connection
 * resumes from there. A user for whom Gmail does not answer stays as it is: if two users have one
 * address, the one that was stored last is found by it.
 */
export async function settleHolders(
  address: EmailAddress,
  holder: UserId,
  context: GrantContext,
): Promise<void> {
  const listed = await context.users.listByEmailAddress(address);
  for (const { id } of listed.filter((user) => user.id !== holder)) {
    await settle(id, address, context);
  }
}

/** Another round is needed only when the grant or the addresses changed during the previous one. */
const LOOKS_MAX = 5;

async function settle(id: UserId, address: EmailAddress, context: GrantContext): Promise<void> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    const user = await context.users.find(id);
    if (user === undefined || user.status === "disconnected") return;
    if (user.emailAddress !== address && user.notifiedAs !== address) return;
    const settled = await unlessContended(settleOnce(user, context));
    if (settled === "settled") return;
    if (settled === undefined) break;
  }
  context.log.warn(
    "announcement_not_recorded",
    "could not store another user's new email address; retrying later",
    {
      userId: id,
    },
  );
}

/** `changed`: the user changed after Gmail was called, so the response is outdated. */
async function settleOnce(user: User, context: GrantContext): Promise<"settled" | "changed"> {
  // The grant is known to have ended, and there is no token to call with.
  if (user.grant.refreshToken === undefined) return displace(user, context);
  const access = openAccess(user, context);
  const answer = await access.call("users.getProfile", (token) => context.gmail.getProfile(token));
  if (!answer.ok) {
    if (answer.error === "superseded") return "changed";
    return hasFailed(answer.error, "reauthorize") ? displace(user, context) : "settled";
  }
  const { emailAddress: named } = answer.value;
  if (named === undefined) return "settled";
  const addresses = afterProfile(user, named);
  if (isSameAddresses(user, addresses)) return "settled";
  const { patchOf, isUntold } = await announceAddresses(user, addresses, context);
  // Becoming active again makes a renewal due.
  if (isUntold === true && user.status !== "active") return "settled";
  const renewAt = context.clock.now();
  return write(
    user,
    isUntold === true ? ({ watch }) => ({ watch: { ...watch, renewAt } }) : patchOf,
    context,
  );
}

/** Nothing has to be revoked at Google: the grant has ended there. */
async function displace(user: User, context: GrantContext): Promise<"settled" | "changed"> {
  const now = context.clock.now();
  const written = await write(user, (current) => displaced(current, now), context);
  if (written === "settled") {
    context.log.info(
      "email_reassigned",
      "an email address now belongs to another account; disconnected the previous one",
      {
        userId: user.id,
      },
    );
  }
  return written;
}

/** Writes unless the grant or the addresses have changed since Gmail was called. */
async function write(
  user: User,
  patchOf: (user: User) => UserPatch,
  { users }: GrantContext,
): Promise<"settled" | "changed"> {
  const { kind } = await modify(
    users,
    user.id,
    (current) => {
      if (!sameGrant(user, current) || !isSameAddresses(user, current)) return "skip";
      return patchOf(current);
    },
    { what: "another user's address", from: user },
  );
  return kind === "written" ? "settled" : "changed";
}
