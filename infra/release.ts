import { readFileSync } from "node:fs";
import { z } from "zod";
import { CommandError } from "./cli/errors.ts";
import { FUNCTIONS, type FunctionSettings } from "./cli/functions.ts";
import { VARIABLE_NAMES } from "../functions/src/config/variables.ts";

// The names become variables of a shell, so that others are refused: an archive may come from anywhere.
const Variable = z.string().regex(/^[A-Z][A-Z0-9_]*$/);
const FunctionShape = z.object({
  trigger: z.enum(["topic", "schedule", "http"]),
  retry: z.boolean().optional(),
  schedule: z.string().optional(),
  retryCount: z.number().optional(),
  minBackoffSeconds: z.number().optional(),
  public: z.boolean(),
  timeoutSeconds: z.number(),
  memoryMiB: z.number(),
  cpu: z.number(),
  concurrency: z.number(),
  minInstances: z.number(),
  maxInstances: z.number(),
  secrets: z.array(Variable),
});
const Release = z.object({
  version: z.string().regex(/^[\w.+-]+$/),
  functions: z.record(z.string().regex(/^[a-z][A-Za-z0-9]*$/), FunctionShape),
  variables: z.array(Variable),
  required: z.array(Variable),
});
/** What an archive for gcloud says of its version, in `deployment.json`. */
export type Release = z.infer<typeof Release>;

/** Reads `deployment.json`. Throws if it is not of a release. */
export function readRelease(file: string): Release {
  try {
    return Release.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    if (error instanceof z.ZodError || error instanceof SyntaxError) {
      throw new CommandError("the archive has no valid deployment.json");
    }
    throw error;
  }
}

/**
 * Returns the functions of a version, with the concurrency and the instances of this folder: those are a
 * matter of the load, not of the version.
 */
export function functionsOf({ functions }: Release): Record<string, FunctionSettings> {
  const here: Readonly<Record<string, FunctionSettings>> = FUNCTIONS;
  return Object.fromEntries(
    Object.entries(functions).map(([name, its]) => {
      const { concurrency, minInstances, maxInstances } = here[name] ?? its;
      return [name, { ...its, concurrency, minInstances, maxInstances }];
    }),
  );
}

/**
 * Returns what somebody who deploys a version with these settings should know, a line for each thing.
 * Throws if the version needs a setting that is missing.
 */
export function notesOn(release: Release, environment: Readonly<Record<string, string>>): string[] {
  const { version, variables, required } = release;
  const secrets = Object.values(release.functions).flatMap((its) => its.secrets);
  const missing = required.filter((name) => !environment[name] && !secrets.includes(name));
  if (missing.length > 0) throw new CommandError(`version ${version} needs ${missing.join(", ")}`);
  const unknown = Object.keys(environment).filter(
    (name) => VARIABLE_NAMES.includes(name) && !variables.includes(name),
  );
  const functions: Readonly<Record<string, FunctionSettings>> = functionsOf(release);
  const others = Object.entries<FunctionSettings>(FUNCTIONS).flatMap(([name, here]) => {
    const its = functions[name];
    if (its === undefined) return [];
    const keys = Object.keys({ ...here, ...its }) as (keyof FunctionSettings)[];
    return keys
      .filter((key) => String(here[key]) !== String(its[key]))
      .map(
        (key) => `${name}: ${key} is ${String(its[key])}, and ${String(here[key])} in this folder`,
      );
  });
  return [
    `Version ${version}, with the settings and the instances of this folder`,
    ...unknown.map((name) => `It does not know ${name}: the setting has no effect`),
    ...others,
  ];
}

/** Returns the functions of this folder that a version does not have. */
export function leftBy({ functions }: Release): string[] {
  return Object.keys(FUNCTIONS).filter((name) => !Object.hasOwn(functions, name));
}
