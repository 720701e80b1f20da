/**
 * The functions-framework runs each request in a domain (`node:domain`). The first one makes Node follow
 * every promise of the process, for good, and in it Node enters and leaves the domain with each: together
 * more than a quarter of a notification's CPU. What a domain would add is an answer to the request when an
 * error is thrown in a callback. Without it the instance ends, as it does after a rejection without a
 * handler in any case. So none of this is for requests of people, but for calls that are repeated.
 */
import domain, { type Domain } from "node:domain";

/** Has the functions-framework create no domains from now on. For functions that answer HTTP themselves. */
export function createNoDomains(): void {
  // All that it uses of them for such a function.
  const none = { on() {}, run: (act: () => void) => act() };
  domain.create = () => none as unknown as Domain;
}

/** Leaves the domain of this request. Node goes on following promises. */
export function leaveDomain(): void {
  const { domain: own } = process as { domain?: Domain | null };
  own?.exit();
}
