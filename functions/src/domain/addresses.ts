import type { EmailAddress } from "./email-address.ts";
import type { User } from "./user.ts";

/** The addresses of one user: what subscribers see, and what notifications name if that differs. */
export type Addresses = Pick<User, "emailAddress" | "notifiedAs">;

/** What the addresses of a user are once Gmail's profile names this one. */
export function afterProfile({ emailAddress, notifiedAs }: Addresses, named: EmailAddress) {
  if (named === notifiedAs && named !== emailAddress) return addresses(emailAddress, named);
  const known = [emailAddress, notifiedAs].filter((address) => address !== undefined);
  const isRespelled = known.some((address) => isSameMailbox(address, named));
  return isRespelled ? addresses(emailAddress, named) : addresses(named, named);
}

/**
 * What the addresses of a user are after a sign-in: `signedIn` is what the ID token names, `named`
 * what Gmail's profile names, if it answered. Where the two differ for good, the stored address
 * stays as long as one of them confirms it.
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

/** True for two spellings of one Gmail mailbox: `googlemail.com` is `gmail.com`, and dots are ignored. */
function isSameMailbox(one: EmailAddress, other: EmailAddress): boolean {
  return withoutSpelling(one) === withoutSpelling(other);
}

function withoutSpelling(address: EmailAddress): string {
  const [local = "", domain = ""] = address.split("@");
  const isGmail = domain === "gmail.com" || domain === "googlemail.com";
  return isGmail ? `${local.replaceAll(".", "")}@gmail.com` : address;
}

/** True when both sets of addresses are the same. */
export function isSameAddresses(one: Addresses, other: Addresses): boolean {
  return one.emailAddress === other.emailAddress && one.notifiedAs === other.notifiedAs;
}
