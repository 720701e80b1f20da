/**
 * The functions-framework runs each request in a domain (`node:domain`). The first one makes Node follow
 * every promise of the process, for good, and in it Node enters and leaves the domain with each: together
 * a third of a notification's CPU. For that, a domain has the framework answer 500 to an error that is
 * thrown in a callback and to a rejection without a handler. Without it the instance ends (exit code 16).
 * So this is for `gmailNotification` alone: Pub/Sub delivers again what was not acknowledged.
 */
import domain, { type Domain } from "node:domain";

/**
 * Has the functions-framework create no domain from now on: at each request it looks up `create` in the
 * module that is changed here. For HTTP functions; a CloudEvent function cannot do without.
 */
export function createNoDomains(): void {
  // All that the framework uses of a domain for an HTTP function.
  const none = { on() {}, run: (act: () => void) => act() };
  domain.create = () => none as unknown as Domain;
}

/** Leaves the domain of this request, for a CloudEvent function. Node goes on following promises. */
export function leaveDomain(): void {
  const { domain: own } = process as { domain?: Domain | null };
  own?.exit();
}
