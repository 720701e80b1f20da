import { VARIABLE_NAMES } from "../../functions/src/config/variables.ts";
import { LOCAL } from "../examples/application/local.ts";
import { requiredEnv } from "./environment.ts";

/** What the local stack sets itself, whatever a shell has for a project in the cloud. */
const OWN = new Set([
  ...Object.keys(requiredEnv()),
  "FIRESTORE_DATABASE",
  "GMAIL_EMULATOR_HOST",
  "TOKEN_KEYS_KMS_KEY",
]);

/**
 * Returns the receiver's settings of this environment. Where it says nothing, the example application
 * is the one that people are sent back to.
 */
export function settingsFrom(env: Readonly<Record<string, string | undefined>>) {
  const given = VARIABLE_NAMES.filter((name) => !OWN.has(name)).flatMap((name) => {
    const value = env[name] ?? "";
    return value === "" ? [] : [[name, value] as const];
  });
  return {
    RETURN_TO_URLS: `http://127.0.0.1:${LOCAL.PORT}/connected`,
    RETURN_TO_SECRET: LOCAL.RETURN_TO_SECRET,
    ...Object.fromEntries(given),
  };
}
