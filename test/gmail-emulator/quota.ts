import type { Answer } from "./answer.ts";
import { projectRateLimited, rateLimited } from "./errors.ts";
import type { Google, Project } from "./google.ts";

const MINUTE_MS = 60_000;

/**
 * Takes the units of one call from the user's and the project's minute. Answers with Gmail's
 * refusal when either is used up, and then takes nothing.
 */
export function takeQuota(
  google: Google,
  project: Project,
  sub: string,
  units: number,
): Answer | undefined {
  const { quota } = google.settings;
  if (quota === "off") return undefined;
  const user = minuteOf(google, `${project.projectId}/${sub}`);
  const whole = minuteOf(google, project.projectId);
  if (user.units + units > quota.unitsPerUserMinute) return rateLimited(user.since + MINUTE_MS);
  if (whole.units + units > quota.unitsPerProjectMinute) {
    return projectRateLimited(project.projectNumber);
  }
  user.units += units;
  whole.units += units;
  return undefined;
}

function minuteOf(google: Google, key: string): { since: number; units: number } {
  const now = google.now();
  const present = google.usage.get(key);
  if (present !== undefined && now - present.since < MINUTE_MS) return present;
  const fresh = { since: now, units: 0 };
  google.usage.set(key, fresh);
  return fresh;
}
