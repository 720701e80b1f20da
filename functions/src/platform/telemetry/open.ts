import type { ExportedTelemetry, TelemetryConfig } from "./telemetry.ts";
import type { OtlpSurroundings } from "./otlp.ts";

/**
 * Telemetry to where the configuration says; `undefined` without a collector. Only here, and only
 * then, is the OpenTelemetry SDK loaded: whoever does without it pays nothing for it.
 */
export async function openTelemetry(
  { telemetry, projectId }: { telemetry?: TelemetryConfig; projectId: string },
  surroundings: Omit<OtlpSurroundings, "projectId">,
): Promise<ExportedTelemetry | undefined> {
  if (telemetry === undefined) return undefined;
  const { otlpTelemetry } = await import("./otlp.ts");
  return otlpTelemetry(telemetry, { ...surroundings, projectId });
}
