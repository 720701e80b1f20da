/**
 * Returns the trace that an event belongs to (CloudEvents distributed tracing extension), if it has
 * one.
 */
export function readTraceparent(event: object): string | undefined {
  const { traceparent } = event as { traceparent?: unknown };
  return typeof traceparent === "string" ? traceparent : undefined;
}
