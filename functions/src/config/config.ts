import { type TelemetryConfig } from "../platform/telemetry/telemetry.ts";
import { isVariable, VARIABLES, ALL_VARIABLES, type Values, type Variable } from "./variables.ts";
import { parseKeyRing } from "../crypto/sealing.ts";
import type { Loggable } from "../platform/log.ts";

type Read = Values<typeof VARIABLES>;

/**
 * The configuration, read once from environment variables. `config/variables.ts` describes each of
 * them. An empty variable counts as not set, and so does `none`, because a secret of Secret Manager
 * cannot be empty.
 *
 * - `changes.topic` is the full name.
 * - `risc.clientIds` includes the client of `oauth`.
 */
export interface Config extends Omit<Read, "oauth" | "notices" | "telemetry"> {
  /** The client secret is empty in a function that refreshes no tokens. */
  readonly oauth: { readonly clientId: string; readonly clientSecret: string };
  /** Absent: no mail is sent. */
  readonly notices?: {
    readonly smtpUrl: string;
    readonly from: string;
    /**
     * The name in the greeting of the mail server (RFC 5321 §4.1.1.1): the host of `PUBLIC_URL`.
     */
    readonly ehloName?: string;
  };
  /** Absent: nothing is traced or measured. */
  readonly telemetry?: TelemetryConfig;
}

/** Returns the redirect URI (RFC 6749 §3.1.2), which has to be registered for the client. */
export function redirectUriOf({ publicUrl }: Pick<Config, "publicUrl">): string {
  return `${publicUrl}/callback`;
}

/** Names every problem of the environment by its variable, never with a value. */
export class ConfigError extends Error implements Loggable {
  override name = "ConfigError";
  readonly isLoggable = true;
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration is not usable: ${problems.join("; ")}`);
    this.problems = problems;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the configuration. Throws one {@link ConfigError} that names every problem. */
export function readConfig(from: Environment): Config {
  const names = [...ALL_VARIABLES.map(({ name }) => name), ...Object.keys(RETIRED)];
  const env = Object.fromEntries(
    names.map((name) => [name, isUnset(from[name]) ? undefined : from[name]]),
  );
  const problems = [
    ...ALL_VARIABLES.flatMap((variable) => problemOf(variable, env[variable.name]) ?? []),
    ...Object.entries(RETIRED).flatMap(([name, problem]) =>
      env[name] ? `${name} ${problem}` : [],
    ),
    ...crossFieldErrors(env, from["FUNCTION_TARGET"]),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
  return toConfig(readPart(VARIABLES, env) as Read);
}

/** Variables of earlier versions that would silently do nothing. */
const RETIRED: Readonly<Record<string, string>> = {
  RETURN_TO_ORIGINS:
    "is not read any more: set RETURN_TO_URLS to the exact URLs that return_to may be",
};

function isUnset(value: string | undefined): boolean {
  return value === "" || value === "none";
}

function problemOf(variable: Variable<unknown>, value: string | undefined): string | undefined {
  const { name, format, isRequired } = variable;
  if (value === undefined) return isRequired ? `${name} is not set` : undefined;
  if (format.parse(value) !== undefined) return undefined;
  const isPadded = value !== value.trim();
  return `${name} ${isPadded ? "has white space at its start or end" : `must be ${format.what}`}`;
}

/** Reads every variable below `part`, and leaves out those that are not set. */
function readPart(part: object, env: Environment): unknown {
  if (isVariable(part)) {
    const value = env[part.name] ?? part.default;
    return value === undefined ? undefined : part.format.parse(value);
  }
  const entries = Object.entries(part).map(([key, below]) => [key, readPart(below, env)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** Finds problems that only show in several variables together. */
function crossFieldErrors(env: Environment, functionName: string | undefined): string[] {
  const problems: string[] = [];
  if (!env["OAUTH_CLIENT_SECRET"] && functionName !== "securityEvent") {
    problems.push("OAUTH_CLIENT_SECRET is not set");
  }
  const { TOKEN_KEYS, TOKEN_KEYS_KMS_KEY, NOTICE_SMTP_URL, NOTICE_FROM } = env;
  if (TOKEN_KEYS && TOKEN_KEYS_KMS_KEY) {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(TOKEN_KEYS)) {
      problems.push("TOKEN_KEYS must be base64, because TOKEN_KEYS_KMS_KEY is set");
    }
  } else if (TOKEN_KEYS) {
    const keyRing = parseKeyRing(TOKEN_KEYS);
    if (!keyRing.ok) problems.push(...keyRing.error.map((problem) => `TOKEN_KEYS: ${problem}`));
  }
  if (NOTICE_SMTP_URL && !NOTICE_FROM) problems.push("NOTICE_FROM is not set, NOTICE_SMTP_URL is");
  if (NOTICE_FROM && !NOTICE_SMTP_URL) problems.push("NOTICE_SMTP_URL is not set, NOTICE_FROM is");
  // The issuer of a ticket is the origin of one of these URLs.
  if (env["CONNECT_TICKET"] === "required" && !env["RETURN_TO_URLS"]) {
    problems.push("RETURN_TO_URLS is not set, CONNECT_TICKET is required");
  }
  // Only `connect` receives the secret that verifies tickets.
  const isConnect = functionName === "connect";
  if (env["CONNECT_TICKET"] === "required" && isConnect && !env["RETURN_TO_SECRET"]) {
    problems.push("RETURN_TO_SECRET is not set, CONNECT_TICKET is required");
  }
  const { GMAIL_TOPIC, CHANGES_TOPIC, GOOGLE_CLOUD_PROJECT } = env;
  if (GMAIL_TOPIC && CHANGES_TOPIC) {
    // Otherwise each change would return as a notification.
    const isSame = fullTopic(CHANGES_TOPIC, GOOGLE_CLOUD_PROJECT ?? "") === GMAIL_TOPIC;
    if (isSame) problems.push("CHANGES_TOPIC must be another topic than GMAIL_TOPIC");
  }
  return problems;
}

function toConfig({ notices, telemetry, ...read }: Read): Config {
  const { smtpUrl, from } = notices;
  const { endpoint, headers = {}, serviceName } = telemetry;
  const { clientId, clientSecret = "" } = read.oauth;
  return {
    ...read,
    oauth: { clientId, clientSecret },
    changes: { ...read.changes, topic: fullTopic(read.changes.topic, read.projectId) },
    risc: { clientIds: [...new Set([clientId, ...read.risc.clientIds])] },
    ...(smtpUrl !== undefined &&
      from !== undefined && { notices: { smtpUrl, from, ...ehloNameOf(read.publicUrl) } }),
    ...(endpoint !== undefined && { telemetry: { endpoint, headers, serviceName } }),
  };
}

/** The host if it has a name of its own: relays reject `localhost`, and an IP address needs brackets. */
function ehloNameOf(publicUrl: string): { ehloName?: string } {
  const name = new URL(publicUrl).hostname.replace(/\.$/, "");
  return /\.[a-z][a-z0-9-]*$/.test(name) ? { ehloName: name } : {};
}

function fullTopic(name: string, projectId: string): string {
  return name.includes("/") ? name : `projects/${projectId}/topics/${name}`;
}
