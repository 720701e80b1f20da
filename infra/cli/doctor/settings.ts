import { z } from "zod";
import { type Config, ConfigError, readConfig } from "../../../functions/src/config/config.ts";
import type { Environment } from "../session.ts";
import { standInFor } from "../stand-ins.ts";
import type { Cloud } from "./cloud.ts";
import type { CloudFunction } from "./deployment.ts";
import { Unchecked } from "./verdict.ts";

/** The settings that the functions were deployed with. */
export interface Settings {
  /** By their names, as the functions read them. */
  env: Environment;
  /** Every problem, in the words of the functions. */
  problems: readonly string[];
  /** `undefined` when there are problems. */
  config: Config | undefined;
  /**
   * Secrets that the operator may not read; stand-ins replace them, so their values are unknown.
   */
  unread: readonly { name: string; why: string }[];
}

/** A secret that a check needs the value of. */
export type SecretName = "OAUTH_CLIENT_SECRET" | "TOKEN_KEYS" | "NOTICE_SMTP_URL";

const SecretPayload = z.object({ payload: z.object({ data: z.string() }) });

/**
 * Returns the settings of `connect`, which has all of them, or else of another function. Throws
 * {@link Unchecked} when no function is deployed.
 */
export async function readDeployedSettings(
  cloud: Cloud,
  projectId: string,
  functions: readonly CloudFunction[],
): Promise<Settings> {
  const connect = functions.find(({ buildConfig }) => buildConfig.entryPoint === "connect");
  const one = connect ?? functions[0];
  if (one === undefined) throw new Unchecked("no function is deployed (see functions)");
  const { environmentVariables, secretEnvironmentVariables } = one.serviceConfig;
  const env: Record<string, string> = {
    GOOGLE_CLOUD_PROJECT: projectId,
    FUNCTION_TARGET: one.buildConfig.entryPoint,
    ...environmentVariables,
  };
  const unread: { name: string; why: string }[] = [];
  await Promise.all(
    secretEnvironmentVariables.map(async ({ key, secret, version, projectId: owner }) => {
      const path = `projects/${owner}/secrets/${secret}/versions/${version}:access`;
      const role = "roles/secretmanager.secretAccessor";
      const question = { api: "secretmanager", path, shape: SecretPayload, role } as const;
      try {
        const found = await cloud.ask(question);
        if (found === undefined) throw new Unchecked(`${secret} has no version ${version}`);
        env[key] = Buffer.from(found.payload.data, "base64").toString("utf8");
      } catch (error) {
        if (!(error instanceof Unchecked)) throw error;
        unread.push({ name: key, why: error.message });
        env[key] = standInFor(key, environmentVariables);
      }
    }),
  );
  // In the cloud, this variable would send people's codes to an unknown host.
  const stray = env["GMAIL_EMULATOR_HOST"]
    ? ["GMAIL_EMULATOR_HOST is set, and this is the cloud"]
    : [];
  const { problems, config } = parseSettings(env);
  const all = [...problems, ...stray];
  return { env, problems: all, config: all.length > 0 ? undefined : config, unread };
}

/** Parses the settings as the functions would. */
export function parseSettings(env: Environment) {
  try {
    return { env, problems: [], config: readConfig(env) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { env, problems: error.problems, config: undefined };
  }
}

/** Returns a reader of the configuration, for checks that need it. */
export function configOf(settingsOf: () => Promise<Settings>) {
  async function config(): Promise<Config> {
    const read = await settingsOf();
    if (read.config === undefined)
      throw new Unchecked("the settings are unusable (see configuration)");
    return read.config;
  }
  return {
    config,
    async configWith(secret: SecretName): Promise<Config> {
      const { unread } = await settingsOf();
      const why = unread.find(({ name }) => name === secret)?.why;
      if (why !== undefined) throw new Unchecked(`${secret} could not be read: ${why}`);
      return config();
    },
  };
}
