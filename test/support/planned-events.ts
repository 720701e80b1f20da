import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { valuesOf } from "./planned.ts";
import type { PlannedResource } from "./terraform.ts";

const FUNCTIONS_SOURCE = path.resolve(import.meta.dirname, "../../functions/src");

/** The events that filters look for: those with an alert, and those that the functions never log. */
export function findEvents(resources: PlannedResource[]): {
  alerting: string[];
  unknown: string[];
} {
  const eventsIn = (type: string) => {
    const text = JSON.stringify(valuesOf(resources, type)).replaceAll(/\\+"/g, '"');
    const filters = [...text.matchAll(/\.event=(?:one_of)?(\([^)]*\)|"\w+")/g)];
    return filters.map(([, events = ""]) =>
      [...events.matchAll(/"(\w+)"/g)].map(([, name]) => name ?? ""),
    );
  };
  const policies = eventsIn("google_monitoring_alert_policy");
  const looked = [
    ...policies,
    ...eventsIn("google_monitoring_dashboard"),
    ...eventsIn("google_logging_metric"),
  ];
  const source = readdirSync(FUNCTIONS_SOURCE, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(path.join(FUNCTIONS_SOURCE, file), "utf8"))
    .join("\n");
  const logged = new Set(
    [...source.matchAll(/\b(?:debug|info|warn|error|alert|write)\(\s*"(\w+)"/g)].map(
      ([, name]) => name,
    ),
  );
  return {
    alerting: policies.filter((events) => events.length === 1).flat(),
    unknown: [...new Set(looked.flat())].filter((event) => !logged.has(event)),
  };
}
