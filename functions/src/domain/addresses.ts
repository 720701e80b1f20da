import type { EmailAddress } from "./email-address.ts";
import type { User } from "./user.ts";

/** The addresses of one user: the published one, and the one in notifications if it differs. */
export type Addresses = Pick<User, "emailAddress" | "notifiedAs">;

/** Returns the addresses of a user after Gmail's profile named this address. */
export function afterProfile({ emailAddress, notifiedAs }: Addresses, named: EmailAddress) {
  if (named === notifiedAs && named !== emailAddress) return addresses(emailAddress, named);
  const known = [emailAddress, notifiedAs].filter((address) => address !== undefined);
  const isRespelled = known.some((address) => isSameMailbox(address, named));
  return isRespelled ? addresses(emailAddress, named) : addresses(named, named);
}

/**
 * Returns the addresses of a user after a sign-in: `signedIn` is the ID token's, `named` the one of
 * Gmail's profile, if it answered. If the two differ permanently, the stored address stays as long
 * as one of them confirms it.
 */
export function afterSignIn(
  stored: Addresses | undefined,
  signedIn: EmailAddress,
  named: EmailAddress | undefined,
): Addresses {
  if (stored === undefined) return addresses(signedIn, named ?? signedIn);
  const { emailAddress, notifiedAs } = stored;
  const seen = [signedIn, ...(named === undefined ? [] : [named])];
  if (seen.some((address) => isSameMailbox(address, emailAddress))) {
    return addresses(emailAddress, named ?? notifiedAs ?? emailAddress);
  }
  if (named === undefined && signedIn === notifiedAs) return stored;
  return addresses(signedIn, named ?? signedIn);
}

function addresses(emailAddress: EmailAddress, named: EmailAddress): Addresses {
  return named === emailAddress ? { emailAddress } : { emailAddress, notifiedAs: named };
}

/**
 * Returns whether two addresses are spellings of one Gmail mailbox: `googlemail.com` is
 * `gmail.com`, and dots are ignored.
 */
function isSameMailbox(one: EmailAddress, other: EmailAddress): boolean {
  return withoutSpelling(one) === withoutSpelling(other);
}

function withoutSpelling(address: EmailAddress): string {
  const [local = "", domain = ""] = address.split("@");
  const isGmail = domain === "gmail.com" || domain === "googlemail.com";
  return isGmail ? `${local.replaceAll(".", "")}@gmail.com` : address;
}

/** Returns whether both sets of addresses are the same. */
export function isSameAddresses(one: Addresses, other: Addresses): boolean {
  return one.emailAddress === other.emailAddress && one.notifiedAs === other.notifiedAs;
}
