/**
 * What `deploy.sh` has to know and a shell cannot read: `tsx infra/deploy-settings.ts COMMAND ...`.
 *
 * - `functions` prints the table of `functions.json`, a line for each function.
 * - `fields` prints what `firestore.indexes.json` says, a line for each field.
 * - `environment PROJECT REGION KMS_KEY [ENV_FILE]` prints the environment of the functions as YAML
 *   (of which JSON is a part). Checks it first, as the functions would: every problem is named, and
 *   the exit status is 1.
 */
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { ConfigError, readConfig } from "../functions/src/config.ts";
import settings from "../functions/src/entries/functions.json" with { type: "json" };
import firestore from "./firestore.indexes.json" with { type: "json" };

interface FunctionSettings {
  trigger: string;
  schedule?: string;
  retryCount?: number;
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

/** Between the columns; in none of the values. */
const SEPARATOR = "|";

const SECRETS = [...new Set(Object.values(settings).flatMap(({ secrets }) => secrets))];

class Refused extends Error {}

try {
  process.stdout.write(print(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Refused || error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

function print([command, ...args]: string[]): string {
  switch (command) {
    case "functions":
      return lines(Object.entries(settings).map(([name, its]) => functionColumns(name, its)));
    case "fields":
      return lines((firestore.fieldOverrides as FieldOverride[]).map(fieldColumns));
    case "environment":
      return `${JSON.stringify(readEnvironment(args), null, 2)}\n`;
    default:
      throw new Refused("functions, fields or environment?");
  }
}

function lines(rows: (string | number | boolean)[][]): string {
  return rows.map((row) => `${row.join(SEPARATOR)}\n`).join("");
}

function functionColumns(name: string, its: FunctionSettings): (string | number | boolean)[] {
  const { trigger, schedule = "", retryCount = 0, timeoutSeconds, memoryMiB, cpu } = its;
  const size = [timeoutSeconds, memoryMiB, cpu, its.concurrency];
  const instances = [its.minInstances, its.maxInstances];
  const secrets = its.secrets.join(" ");
  return [name, trigger, its.public, ...size, ...instances, schedule, retryCount, secrets];
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

function readEnvironment([project = "", region = "", kmsKey = "", file]: string[]) {
  const set = file === undefined ? {} : parseEnv(readFileSync(file, "utf8"));
  const secret = SECRETS.filter((name) => set[name]);
  if (secret.length > 0) {
    throw new Refused(`${secret.join(", ")}: secrets belong in Secret Manager, not in ${file}`);
  }
  if (set["GMAIL_EMULATOR_HOST"]) throw new Refused("GMAIL_EMULATOR_HOST: not in the cloud");
  const given = Object.entries(set).filter(([name, value]) => name !== "REGION" && value);
  const environment: Record<string, string | undefined> = {
    PUBLIC_URL: `https://${region}-${project}.cloudfunctions.net/connect`,
    CHANGES_TOPIC: "mailbox-changes",
    TOKEN_KEYS_KMS_KEY: kmsKey,
    ...Object.fromEntries(given),
    // The function listens to this topic and no other.
    GMAIL_TOPIC: `projects/${project}/topics/gmail-notifications`,
    GOOGLE_CLOUD_PROJECT: project,
  };
  // Secrets are checked by the functions themselves; here they only have to have some form.
  readConfig({
    ...environment,
    OAUTH_CLIENT_SECRET: "secret",
    TOKEN_KEYS: "wrapped/",
    NOTICE_SMTP_URL: set["NOTICE_FROM"] ? "smtps://localhost" : "none",
  });
  return environment;
}
