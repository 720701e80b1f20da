import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Access } from "../mailbox/access.ts";
import {
  type LookServices,
  afterProfile,
  announceAddresses,
  isSameAddresses,
} from "../mailbox/address.ts";
import type { EmailAddress } from "../mailbox/email-address.ts";
import type { User, UserId, UserPatch, UserStore } from "../user.ts";
import { withoutDue, withoutRenewal, withoutTokens } from "./flagging.ts";

export interface HolderServices extends LookServices {
  users: UserStore;
  openAccess(user: User): Access;
  clock: Clock;
  log: Log;
}

/** Each lost race means that another writer changed the document. */
const WRITE_TRIES_MAX = 10;

/**
 * Settles what happens to the other users who are stored under an address that now belongs to
 * `holder`. Gmail decides, asked with each user's own grant: a living grant keeps its stream and
 * gets its new address; a dead one becomes `disconnected` and keeps its cursor, so that a later
 * connection resumes from there. What Gmail does not answer now leaves the user as it is: where two
 * users hold one address, the one that was stored last is found by it.
 */
export async function settleHolders(
  address: EmailAddress,
  holder: UserId,
  services: HolderServices,
): Promise<void> {
  const users = await services.users.listByEmailAddress(address);
  for (const other of users) {
    if (other.id === holder || other.status === "disconnected") continue;
    await settle(other, services);
  }
}

async function settle(other: User, services: HolderServices): Promise<void> {
  // The grant is known to have ended, and there is no token to ask with.
  if (other.status === "reauthorization_required") return displace(other, services);
  const access = services.openAccess(other);
  const answer = await access.call("users.getProfile", (token) => services.getProfile(token));
  switch (answer.kind) {
    case "superseded":
      return;
    case "failed":
      return answer.failure.kind === "reauthorize" ? displace(other, services) : undefined;
    case "answered":
      break;
  }
  const { emailAddress: named } = answer.value;
  if (named === undefined) return;
  const addresses = afterProfile(other, named);
  if (isSameAddresses(other, addresses)) return;
  const { patchOf } = await announceAddresses(other, addresses, services);
  await write(other, patchOf, services);
}

/** Nothing has to be revoked at Google: the grant has ended there. */
async function displace(other: User, services: HolderServices): Promise<void> {
  const now = services.clock.now();
  const isWritten = await write(
    other,
    (user) => ({
      status: "disconnected",
      statusReason: ADDRESS_MOVED,
      statusAt: now,
      grant: withoutTokens(user.grant),
      watch: withoutRenewal(user.watch),
      sync: withoutDue(user.sync),
      followUp: { ...user.followUp, dueAt: now, failures: 0 },
    }),
    services,
  );
  if (!isWritten) return;
  services.log.info("address_moved", "an address now belongs to another account", {
    userId: other.id,
  });
}

/** The `statusReason` of a user whose grant had ended and whose address belongs to another account. */
export const ADDRESS_MOVED = "address_moved";

/** False when the user changed in a way that makes the answer of Gmail one about the past. */
async function write(
  other: User,
  patchOf: (user: User) => UserPatch,
  { users, log }: HolderServices,
): Promise<boolean> {
  let user: User | undefined = other;
  for (let tries = 0; tries < WRITE_TRIES_MAX; tries++) {
    if (user === undefined || user.status !== other.status) return false;
    if (user.grant.generation !== other.grant.generation) return false;
    const patch = patchOf(user);
    if (Object.keys(patch).length === 0) return false;
    if ((await users.update(user, patch)) === "written") return true;
    user = await users.find(other.id);
  }
  log.warn("announcement_not_noted", "another user's new address could not be stored yet", {
    userId: other.id,
  });
  return false;
}
