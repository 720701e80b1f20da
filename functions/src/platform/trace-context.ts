/** The trace that an event belongs to (CloudEvents distributed tracing extension), if it says. */
export function readTraceparent(event: object): string | undefined {
  const { traceparent } = event as { traceparent?: unknown };
  return typeof traceparent === "string" ? traceparent : undefined;
}
