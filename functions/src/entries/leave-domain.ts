/**
 * Leaves the domain (`node:domain`) in which the functions-framework runs each request. In it, Node
 * enters and leaves the domain with every promise: about a quarter of a notification's CPU. Outside,
 * an error that is thrown in a callback ends the instance, as a rejection without a handler does in
 * any case. So this is for events only, which Pub/Sub delivers again, and not for people's requests.
 */
export function leaveDomain(): void {
  const { domain } = process as { domain?: { exit(): void } | null };
  domain?.exit();
}
