import { LOG_EVENTS } from "../../functions/src/platform/log-events.ts";
import { valuesOf } from "./planned.ts";
import type { PlannedResource } from "./terraform.ts";

/** The events that filters look for: those of alerts, and those that the functions never log. */
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
  return {
    alerting: policies.flat(),
    unknown: [...new Set(looked.flat())].filter((event) => !Object.hasOwn(LOG_EVENTS, event)),
  };
}
