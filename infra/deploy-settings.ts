/**
 * What `deploy.sh` has to know and a shell cannot read: `tsx infra/deploy-settings.ts PROJECT REGION
 * [ENV_FILE [RELEASE]]`. When REGION is empty, it is the one of the file. Prints assignments that the
 * shell evaluates, each value quoted:
 *
 * - `function_names`, and `function_NAME_...` for each function of `functions.json`, or of the
 *   `deployment.json` of the archive that is deployed in place of a build,
 * - `release_notes`, and `left_functions`, which that version does not have,
 * - `field_groups`, `field_paths`, `field_indexes`: arrays with one item for each field
 *   of `firestore.indexes.json`,
 * - `services` and `secrets`: every API of `services.json`, every secret of a function,
 * - `exclusion_name` and `exclusion`, of `log-exclusion.json`,
 * - `environment`: the functions' variables as JSON, which is YAML, too (what gcloud wants); the
 *   variables that the script itself reads, by their names in lower case; and `named_settings`, the
 *   names that the file sets.
 *
 * The number of the project is not known here: `PUBLIC_URL` has `PROJECT_NUMBER` in its place, unless
 * the file sets it.
 *
 * The settings are checked first, as the functions do: every problem is named, and the exit status
 * is 1.
 */
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { ConfigError, readConfig } from "../functions/src/config/config.ts";
import { CommandError } from "./cli/errors.ts";
import { FUNCTIONS, type FunctionSettings, SECRETS } from "./cli/functions.ts";
import { functionsOf, leftBy, notesOn, readRelease } from "./release.ts";
import { shellWord } from "./cli/shell.ts";
import { withStandIns } from "./cli/stand-ins.ts";
import { WANTED_FIELDS, type WantedField } from "./cli/firestore-fields.ts";
import exclusion from "./log-exclusion.json" with { type: "json" };
import services from "./services.json" with { type: "json" };

/** The settings that the script itself reads. */
const READ_BY_SCRIPT = [
  "REGION",
  "PUBLIC_URL",
  "FIRESTORE_DATABASE",
  "CHANGES_TOPIC",
  "OAUTH_CLIENT_ID",
  "NOTICE_FROM",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "LOAD_BALANCERS",
  "INVOKER_IAM_CHECK",
];

/** The key's path in its project and region. */
const KMS_KEY = "keyRings/gmail-push-receiver/cryptoKeys/token-keys";

/** A word, or an array of words. */
type Value = string | readonly string[];

try {
  process.stdout.write(print(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof CommandError || error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

function print(args: string[]): string {
  const { environment, named } = readEnvironment(args);
  const [, , , file] = args;
  const release = file ? readRelease(file) : undefined;
  const functions: Readonly<Record<string, FunctionSettings>> =
    release === undefined ? FUNCTIONS : functionsOf(release);
  const secrets = [...new Set(Object.values(functions).flatMap((its) => its.secrets))];
  const assignments: [name: string, value: Value][] = [
    ...READ_BY_SCRIPT.map((name): [string, Value] => [name.toLowerCase(), environment[name] ?? ""]),
    ["named_settings", named.join(" ")],
    ["environment", JSON.stringify(environment)],
    ["services", services],
    ["secrets", secrets.toSorted()],
    ["field_groups", WANTED_FIELDS.map(({ collectionGroup }) => collectionGroup)],
    ["field_paths", WANTED_FIELDS.map(({ fieldPath }) => fieldPath)],
    ["field_indexes", WANTED_FIELDS.map(indexWords)],
    ["exclusion_name", exclusion.name],
    ["exclusion", exclusionWords()],
    ["release_notes", release === undefined ? [] : notesOn(release, environment)],
    ["left_functions", release === undefined ? [] : leftBy(release)],
    ["function_names", Object.keys(functions)],
    ...Object.entries(functions).flatMap(([name, its]) => functionValues(name, its)),
  ];
  return assignments.map(([name, value]) => `${name}=${quoted(value)}\n`).join("");
}

function quoted(value: Value): string {
  return typeof value === "string" ? shellWord(value) : `(${value.map(shellWord).join(" ")})`;
}

function functionValues(name: string, its: FunctionSettings): [string, string][] {
  const values = {
    trigger: its.trigger,
    retry: its.retry ?? false,
    public: its.public,
    timeout: its.timeoutSeconds,
    memory: its.memoryMiB,
    cpu: its.cpu,
    concurrency: its.concurrency,
    min: its.minInstances,
    max: its.maxInstances,
    schedule: its.schedule ?? "",
    retries: its.retryCount ?? 0,
    backoff: its.minBackoffSeconds ?? 0,
    secrets: its.secrets.join(" "),
  };
  return Object.entries(values).map(([key, value]) => [`function_${name}_${key}`, String(value)]);
}

/**
 * Returns the indexes of a field in gcloud's spelling, a word for each; none when the field is
 * exempt.
 */
function indexWords({ fieldPath, indexes }: WantedField): string {
  const words = indexes.map(({ order, arrayConfig, queryScope }) => {
    if (queryScope !== "COLLECTION") {
      throw new CommandError(
        `${fieldPath}: gcloud cannot make an index of the scope ${queryScope}`,
      );
    }
    return order === undefined ? `array-config=${arrayConfig}` : `order=${order}`;
  });
  return words.join(" ");
}

/** Returns the exclusion in gcloud's spelling, a list of names and values. */
function exclusionWords(): string {
  const words = Object.entries(exclusion);
  const broken = words.find(([, value]) => value.includes(","));
  if (broken !== undefined) throw new CommandError(`log-exclusion.json: a comma in ${broken[0]}`);
  return words.map(([name, value]) => `${name}=${value}`).join(",");
}

function readEnvironment([project = "", wantedRegion = "", file]: string[]) {
  const set = file ? parseEnv(readFileSync(file, "utf8")) : {};
  const secret = SECRETS.filter((name) => set[name]);
  if (secret.length > 0) {
    throw new CommandError(
      `${secret.join(", ")}: secrets belong in Secret Manager, not in ${file}`,
    );
  }
  if (set["GMAIL_EMULATOR_HOST"]) throw new CommandError("GMAIL_EMULATOR_HOST: not in the cloud");
  const REGION = wantedRegion || set["REGION"] || "us-central1";
  if (!/^[a-z]+-[a-z]+\d+$/.test(REGION)) {
    throw new CommandError("REGION must be a region, such as europe-west1");
  }
  const environment: Record<string, string> = {
    // An origin of its own: all functions of a project share the one at cloudfunctions.net.
    PUBLIC_URL: `https://connect-PROJECT_NUMBER.${REGION}.run.app`,
    FIRESTORE_DATABASE: "gmail-push",
    CHANGES_TOPIC: "mailbox-changes",
    // Half of the memory: Google's build would give the heap 80 % of it.
    NODE_OPTIONS: "--max-old-space-size=256",
  };
  const named = Object.keys(set).filter((name) => set[name]);
  for (const name of named) environment[name] = set[name] ?? "";
  Object.assign(environment, {
    REGION,
    GOOGLE_CLOUD_PROJECT: project,
    // The function listens to this topic and no other.
    GMAIL_TOPIC: `projects/${project}/topics/gmail-notifications`,
    TOKEN_KEYS_KMS_KEY: `projects/${project}/locations/${REGION}/${KMS_KEY}`,
  });
  readConfig(withStandIns(environment));
  return { environment, named };
}
