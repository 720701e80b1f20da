import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import type { Command } from "commander";
import { ConfigError } from "../../functions/src/config/config.ts";
import { VARIABLE_NAMES } from "../../functions/src/config/variables.ts";
import { usageError } from "./errors.ts";
import type { Environment, Session } from "./session.ts";

/** Where a command finds the deployment that it works on, as its options say. */
export interface Where {
  project?: string;
  region: string;
  /** The local stack, with its settings from this file. */
  local?: true | string;
}

/** The settings of a deployment by their names (`undefined`: not set), and the secrets that the operator may not read. */
export interface Found {
  env: Environment;
  unread: readonly { name: string; why: string }[];
}

const EMULATORS = ["FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "GMAIL_EMULATOR_HOST"];

/** Adds the options of {@link Where}: the same for every command. */
export function whereOptions(command: Command, env: Environment): Command {
  return command
    .option(
      "--project <id>",
      "the deployment in this project, with the settings it was deployed with",
    )
    .option("--region <region>", "of its functions", env["REGION"] || "us-central1")
    .option(
      "--local [file]",
      "the local stack, with its settings from an env file, or the environment",
    );
}

/** Returns the environment, with what the file of `--local` sets. Throws a usage error. */
export function withLocalFile(local: Where["local"], env: Environment): Environment {
  if (typeof local !== "string") return env;
  try {
    return { ...env, ...parseEnv(readFileSync(local, "utf8")) };
  } catch {
    throw usageError(`${local} cannot be read`);
  }
}

/** Whether this is the local stack: `--local` says so, or an emulator is named. */
export function isLocalStack(local: Where["local"], env: Environment): boolean {
  if (local !== undefined) return true;
  return !env["GOOGLE_CLOUD_EMULATOR_HOST"] && EMULATORS.some((name) => env[name]);
}

/** Returns the project id of `--project`, or throws a usage error. */
export function checkProjectId(projectId: string): string {
  if (/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(projectId)) return projectId;
  throw usageError("--project needs a project id");
}

/**
 * Returns the settings of the functions: of those deployed in `--project`, or else of the
 * environment. Throws `ConfigError` for settings with which the functions could not run.
 */
export async function findSettings(where: Where, session: Session): Promise<Found> {
  const { project, region, local } = where;
  const env = withLocalFile(local, session.env);
  if (project === undefined) return { env, unread: [] };
  const own = { ...env, GOOGLE_CLOUD_PROJECT: checkProjectId(project) };
  if (isLocalStack(local, env)) return { env: own, unread: [] };
  const { endpointsOf } = await import("./doctor/endpoints.ts");
  const { googleCloud } = await import("./doctor/cloud.ts");
  const { cloudDeployment } = await import("./doctor/deployment.ts");
  const cloud = googleCloud(endpointsOf(env), project);
  const settings = await cloudDeployment(project, region, cloud).settings();
  if (settings.problems.length > 0) throw new ConfigError(settings.problems);
  const { FUNCTION_TARGET: _, ...deployed } = settings.env;
  // What the shell sets for another deployment is not a setting of this one.
  const cleared = Object.fromEntries(VARIABLE_NAMES.map((name) => [name, undefined]));
  return { env: { ...env, ...cleared, ...deployed }, unread: settings.unread };
}
