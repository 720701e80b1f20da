import type { GrantContext } from "./context.ts";
import { type Addresses, afterProfile, isSameAddresses } from "../domain/addresses.ts";
import { createHash } from "node:crypto";
import type { User, UserPatch } from "../domain/user.ts";
import type { Access } from "../domain/access.ts";
import type { EmailAddress } from "../domain/email-address.ts";
import { PublishFailure } from "../domain/events.ts";

/** The addresses that a mailbox has at Google, as far as they differ from the stored ones. */
export interface FoundAddress {
  /** The address in Gmail's profile, and so in notifications. */
  named: EmailAddress;
  /** Returns what a write has to store, if `user` still has the addresses that were compared. */
  patchOf(user: User): UserPatch;
  /**
   * The topic did not accept the new address, so it is not stored. Notifications lead nowhere until
   * it is: the caller makes a renewal due soon, which tries again.
   */
  isUntold?: true;
}

/**
 * Reads the address of the mailbox from Gmail's profile; `undefined` when it already leads to the
 * user, or when Gmail does not answer. A rename is published here, before the caller stores it: a
 * crash in between publishes it again under the same id.
 */
export async function findAddress(
  user: User,
  access: Access,
  context: GrantContext,
): Promise<FoundAddress | undefined> {
  const answer = await access.call("users.getProfile", (token) => context.gmail.getProfile(token));
  const named = answer.ok ? answer.value.emailAddress : undefined;
  if (named === undefined) return undefined;
  const found = afterProfile(user, named);
  return isSameAddresses(user, found) ? undefined : await announceAddresses(user, found, context);
}

/**
 * Publishes `mailbox.address_changed` if the address itself has changed. If the topic does not
 * accept the event, the stored address stays, so that the next check finds the change again.
 */
export async function announceAddresses(
  user: User,
  found: Addresses,
  { publish, clock, log }: GrantContext,
): Promise<FoundAddress> {
  const { emailAddress, notifiedAs } = found;
  const named = notifiedAs ?? emailAddress;
  const isRenamed = emailAddress !== user.emailAddress;
  if (isRenamed) {
    try {
      await publish({ ...user, emailAddress }, [
        {
          kind: "address_changed",
          previousEmailAddress: user.emailAddress,
          changeId: changeIdOf(user, emailAddress),
        },
      ]);
    } catch (error) {
      if (!(error instanceof PublishFailure)) throw error;
      log.warn("announcement_failed", "could not publish a new email address; retrying later", {
        userId: user.id,
        status: user.status,
        reason: error.reason,
      });
      return { named, patchOf: () => ({}), isUntold: true };
    }
  }
  const now = clock.now();
  const patch = { emailAddress, notifiedAs, ...(isRenamed && { addressSince: now }) };
  return { named, patchOf: (current) => (isSameAddresses(current, user) ? patch : {}) };
}

/**
 * Names one change of address: the time since when the old address was stored, and a digest of the
 * new one. A repetition of the same change has the same id, and no later change has it.
 */
function changeIdOf({ addressSince }: User, emailAddress: EmailAddress): string {
  const digest = createHash("sha256").update(emailAddress).digest("base64url").slice(0, 12);
  return `${addressSince?.getTime() ?? 0}-${digest}`;
}
