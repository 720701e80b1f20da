import type { ExportedTelemetry, TelemetryConfig } from "./telemetry.ts";
import type { OtlpSurroundings } from "./otlp.ts";

/**
 * Returns telemetry to the configured collector; `undefined` without one. Only then is the
 * OpenTelemetry SDK loaded.
 */
export async function openTelemetry(
  { telemetry, projectId }: { telemetry?: TelemetryConfig; projectId: string },
  surroundings: Omit<OtlpSurroundings, "projectId">,
): Promise<ExportedTelemetry | undefined> {
  if (telemetry === undefined) return undefined;
  const { otlpTelemetry } = await import("./otlp.ts");
  return otlpTelemetry(telemetry, { ...surroundings, projectId });
}
