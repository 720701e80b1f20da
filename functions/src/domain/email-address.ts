/**
 * An email address of a mailbox, in lower case. It is not a key, because addresses are reassigned.
 */
export type EmailAddress = string & { readonly __brand: "EmailAddress" };

/** RFC 5321 §4.5.3.1: 64 for the local part, 255 for the domain, and the `@`. */
const CHARACTERS_MAX = 320;

/**
 * One `@` between two non-empty parts. Also rejected: white space, control and invisible
 * characters, lone surrogates, and what RFC 5322 §3.2.3 allows only inside quotes, so that an
 * address can neither end a mail header nor look like two.
 */
const ADDRESS = /^[^@\s\p{Cc}\p{Cf}\p{Cs}()<>[\]:;,\\"]+@[^@\s\p{Cc}\p{Cf}\p{Cs}()<>[\]:;,\\"]+$/u;

/** Returns the address in lower case, or `undefined` if the value is not one address. */
export function parseEmailAddress(value: unknown): EmailAddress | undefined {
  if (typeof value !== "string" || value.length > CHARACTERS_MAX) return undefined;
  const address = value.toLowerCase();
  if (address.length > CHARACTERS_MAX || !ADDRESS.test(address)) return undefined;
  return address as EmailAddress;
}
