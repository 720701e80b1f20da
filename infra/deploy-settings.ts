/**
 * What `deploy.sh` has to know and a shell cannot read: `tsx infra/deploy-settings.ts PROJECT REGION
 * [ENV_FILE]`. A region that is empty is the one of the file. Prints lines of columns:
 *
 * - `function|NAME|...` for each function of `functions.json`,
 * - `field|GROUP|...` for each field of `firestore.indexes.json`,
 * - `service|NAME` for each API of `services.json`,
 * - `setting|NAME|VALUE` for each variable of the functions' environment,
 * - `exclusion-name|NAME` and `exclusion|NAME=VALUE,...` of `log-exclusion.json`,
 * - `said|NAME` for each of them that the file sets,
 * - `environment|JSON` for all of them (JSON is YAML too, which is what gcloud wants).
 *
 * The number of the project is not known here: `PUBLIC_URL` has `PROJECT_NUMBER` in its place, unless
 * the file sets it.
 *
 * The settings are checked first, as the functions would: every problem is named, and the exit
 * status is 1.
 */
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { ConfigError, readConfig } from "../functions/src/config.ts";
import settings from "../functions/src/entries/functions.json" with { type: "json" };
import firestore from "./firestore.indexes.json" with { type: "json" };
import exclusion from "./log-exclusion.json" with { type: "json" };
import services from "./services.json" with { type: "json" };

interface FunctionSettings {
  trigger: string;
  retry?: boolean;
  schedule?: string;
  retryCount?: number;
  minBackoffSeconds?: number;
  public: boolean;
  timeoutSeconds: number;
  memoryMiB: number;
  cpu: number;
  concurrency: number;
  minInstances: number;
  maxInstances: number;
  secrets: string[];
}

interface FieldOverride {
  collectionGroup: string;
  fieldPath: string;
  ttl?: boolean;
  indexes: { order?: string; arrayConfig?: string; queryScope: string }[];
}

/** Between the columns; in none of them but the last. */
const SEPARATOR = "|";

const SECRETS = [...new Set(Object.values(settings).flatMap(({ secrets }) => secrets))];

/** In its project and region. */
const KMS_KEY = "keyRings/gmail-push-receiver/cryptoKeys/token-keys";

class Refused extends Error {}

try {
  process.stdout.write(print(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Refused || error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

function print(args: string[]): string {
  const { environment, said } = readEnvironment(args);
  const rows = [
    ...Object.entries(settings).map(([name, its]) => ["function", ...functionColumns(name, its)]),
    ...(firestore.fieldOverrides as FieldOverride[]).map((its) => ["field", ...fieldColumns(its)]),
    ...services.map((name) => ["service", name]),
    ...Object.entries(environment).map(([name, value]) => ["setting", name, value]),
    ...said.map((name) => ["said", name]),
    ["exclusion-name", exclusion.name],
    ["exclusion", exclusionWords()],
    ["environment", JSON.stringify(environment)],
  ];
  return rows.map((row) => `${row.join(SEPARATOR)}\n`).join("");
}

function functionColumns(name: string, its: FunctionSettings): (string | number | boolean)[] {
  const { trigger, retry = false, schedule = "", retryCount = 0, minBackoffSeconds = 0 } = its;
  const { timeoutSeconds, memoryMiB, cpu } = its;
  const size = [timeoutSeconds, memoryMiB, cpu, its.concurrency];
  const instances = [its.minInstances, its.maxInstances];
  const secrets = its.secrets.join(" ");
  return [
    name,
    trigger,
    retry,
    its.public,
    ...size,
    ...instances,
    schedule,
    retryCount,
    minBackoffSeconds,
    secrets,
  ];
}

/** The indexes of a field as gcloud spells them, a word for each; none when it is exempt. */
function fieldColumns({ collectionGroup, fieldPath, ttl = false, indexes }: FieldOverride) {
  const words = indexes.map(({ order, arrayConfig, queryScope }) => {
    if (queryScope !== "COLLECTION") {
      throw new Refused(`${fieldPath}: gcloud cannot make an index of the scope ${queryScope}`);
    }
    return order === undefined ? `array-config=${arrayConfig}` : `order=${order}`;
  });
  return [collectionGroup, fieldPath, ttl, words.join(" ")];
}

/** The exclusion as gcloud spells it, a list of names and values. */
function exclusionWords(): string {
  const words = Object.entries(exclusion);
  const broken = words.find(([, value]) => value.includes(","));
  if (broken !== undefined) throw new Refused(`log-exclusion.json: a comma in ${broken[0]}`);
  return words.map(([name, value]) => `${name}=${value}`).join(",");
}

function readEnvironment([project = "", wantedRegion = "", file]: string[]) {
  const set = file === undefined ? {} : parseEnv(readFileSync(file, "utf8"));
  const secret = SECRETS.filter((name) => set[name]);
  if (secret.length > 0) {
    throw new Refused(`${secret.join(", ")}: secrets belong in Secret Manager, not in ${file}`);
  }
  if (set["GMAIL_EMULATOR_HOST"]) throw new Refused("GMAIL_EMULATOR_HOST: not in the cloud");
  const REGION = wantedRegion || set["REGION"] || "us-central1";
  const environment: Record<string, string> = {
    // An origin of its own: all functions of a project share the one at cloudfunctions.net.
    PUBLIC_URL: `https://connect-PROJECT_NUMBER.${REGION}.run.app`,
    FIRESTORE_DATABASE: "gmail-push",
    CHANGES_TOPIC: "mailbox-changes",
  };
  const said = Object.keys(set).filter((name) => set[name]);
  for (const name of said) environment[name] = set[name] ?? "";
  Object.assign(environment, {
    REGION,
    GOOGLE_CLOUD_PROJECT: project,
    // The function listens to this topic and no other.
    GMAIL_TOPIC: `projects/${project}/topics/gmail-notifications`,
    TOKEN_KEYS_KMS_KEY: `projects/${project}/locations/${REGION}/${KMS_KEY}`,
  });
  // The secrets are not known here, so they are taken for good ones.
  readConfig({
    ...environment,
    OAUTH_CLIENT_SECRET: "secret",
    TOKEN_KEYS: "wrapped/",
    NOTICE_SMTP_URL: set["NOTICE_FROM"] ? "smtps://localhost" : "none",
  });
  return { environment, said };
}
