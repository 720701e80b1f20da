import { readFileSync } from "node:fs";
import type { PlannedResource } from "./terraform.ts";

const SETTINGS_FILE = new URL("../../functions/src/entries/functions.json", import.meta.url);

/** What the six functions are to be, by name. */
export const SETTINGS = JSON.parse(readFileSync(SETTINGS_FILE, "utf8")) as Record<
  string,
  { timeoutSeconds: number; memoryMiB: number; retryCount?: number; minBackoffSeconds?: number }
>;

/** A function as it is planned. */
export interface PlannedFunction {
  name: string;
  service: string;
  member: string;
  uri: string;
  environment: Record<string, string>;
  secrets: string[];
}

/** Every planned function. */
export function functionsOf(resources: PlannedResource[]): PlannedFunction[] {
  return valuesOf(resources, "google_cloudfunctions2_function").map(({ key, values }) => {
    const [config] = values["service_config"] as [Record<string, unknown>];
    const secrets = config["secret_environment_variables"] as { key: string }[];
    return {
      name: key,
      service: String(values["name"]),
      member: `serviceAccount:${String(config["service_account_email"])}`,
      uri: String(config["uri"]),
      environment: config["environment_variables"] as Record<string, string>,
      secrets: secrets.map((secret) => secret.key),
    };
  });
}

/** The planned resources of a type. */
export function valuesOf(resources: PlannedResource[], wanted: string): PlannedResource[] {
  return resources.filter(({ type }) => type === wanted);
}

/** The one resource of a type with this key, as planned. */
export function one(
  resources: PlannedResource[],
  type: string,
  key: string,
): Record<string, unknown> {
  const [found, ...more] = valuesOf(resources, type).filter((resource) => resource.key === key);
  if (found === undefined || more.length > 0) throw new Error(`not one ${type} ${key}`);
  return found.values;
}
