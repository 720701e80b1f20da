import { readFileSync } from "node:fs";
import { z } from "zod";
import {
  Field,
  WANTED_FIELDS,
  type WantedField,
  hasIndexes,
  isExpiring,
} from "../../firestore-fields.ts";
import exempt from "../../../firestore.exempt.json" with { type: "json" };
import { DEFAULT_DATABASE, type Deployment, accountsOf } from "../deployment.ts";
import { type Verdict, Unchecked, failed, gcloud, passed, unlessAny } from "../verdict.ts";
import { isAllowed, isAllowedIf, onlyOn, withoutRight } from "../iam.ts";

const Database = z.object({
  type: z.string().default(""),
  databaseEdition: z.string().default("STANDARD"),
});
const Release = z.object({ rulesetName: z.string() });
const Ruleset = z.object({
  source: z.object({ files: z.array(z.object({ content: z.string().default("") })) }),
});
const VIEWER = "roles/datastore.viewer";

/**
 * Checks the database of `FIRESTORE_DATABASE`: native and standard, and the functions may use it.
 * Warns when they may use every other database of the project, too.
 */
export async function database(it: Deployment): Promise<Verdict> {
  const id = await it.databaseId();
  const path = await databaseOf(it);
  const found = await it.cloud.ask({ api: "firestore", path, shape: Database, role: VIEWER });
  if (found === undefined) {
    const flags = [`--database=${id}`, `--location=${it.region}`, "--type=firestore-native"];
    const fix = gcloud(
      it.projectId,
      "firestore",
      "databases",
      "create",
      ...flags,
      "--delete-protection",
    );
    return failed(`there is no database ${id}`, fix);
  }
  const { type, databaseEdition } = found;
  const another = "name a native, standard database in FIRESTORE_DATABASE";
  if (type !== "FIRESTORE_NATIVE") return failed(`the database ${id} is ${type}`, another);
  if (databaseEdition !== "STANDARD") {
    return failed(`the database ${id} is ${databaseEdition}`, another);
  }
  const accounts = await accountsOf(it);
  const condition = onlyOn(path);
  const change = (verb: string, account: string, when: string) =>
    `gcloud projects ${verb}-iam-policy-binding ${it.projectId} ` +
    `--member=serviceAccount:${account} --role=roles/datastore.user ${when}`;
  const narrow = `'--condition=expression=${condition},title=gmail-push-database'`;
  const always = "--condition=None";
  const lacking = await withoutRight(
    "useDatabase",
    accounts,
    undefined,
    it.projectPolicy,
    condition,
  );
  if (lacking.length > 0) {
    const problems = lacking.map((account) => ({
      what: `${account} may not use the database ${id}`,
      fix: change("add", account, narrow),
    }));
    return { kind: "failed", problems };
  }
  const policy = await it.projectPolicy();
  const wide = accounts.filter((account) =>
    isAllowed("useDatabase", `serviceAccount:${account}`, [policy]),
  );
  if (wide.length > 0) {
    // Grant the narrow right first, so that the function is never without one.
    const problems = wide.map((account) => {
      const isNarrowed = isAllowedIf(
        "useDatabase",
        `serviceAccount:${account}`,
        [policy],
        condition,
      );
      return {
        what: `${account} may use every database of the project`,
        fix: isNarrowed ? change("remove", account, always) : change("add", account, narrow),
      };
    });
    return { kind: "warning", problems };
  }
  return passed(`${id}: native, standard, and the functions may use no other`);
}

/** Checks that each field of `firestore.indexes.json` has exactly the indexes it needs, ready. */
export async function indexes(it: Deployment): Promise<Verdict> {
  const ofDatabase = `--database=${await it.databaseId()}`;
  // Terraform cannot exempt all fields of a collection at once.
  const alone = Object.entries(exempt).flatMap(([collectionGroup, paths]) =>
    paths.map((fieldPath) => ({ collectionGroup, fieldPath, indexes: [] })),
  );
  const isExemptAlone = (await eachField(it, notAsMeant, alone)).length === 0;
  const problems = await eachField(it, (override, field) => {
    const { collectionGroup, fieldPath, indexes: meant } = override;
    if (fieldPath === "*" && isExemptAlone) return undefined;
    const name = `${collectionGroup}.${fieldPath}`;
    const flags = meant.map(({ order = "" }) => `--index=order=${order.toLowerCase()}`);
    const words = [
      "firestore",
      "indexes",
      "fields",
      "update",
      fieldPath,
      `--collection-group=${collectionGroup}`,
      ofDatabase,
    ];
    const fix = gcloud(
      it.projectId,
      ...words,
      ...(flags.length > 0 ? flags : ["--disable-indexes"]),
    );
    if (!hasIndexes(field, override)) {
      // By default Google indexes every field, and every indexed timestamp slows all writes.
      return { what: meant.length === 0 ? `${name} is indexed` : `${name} has no index`, fix };
    }
    const unready = field.indexConfig.indexes.find(({ state }) => state !== "READY");
    if (unready === undefined) return undefined;
    return {
      what: `the index of ${name} is ${unready.state}`,
      fix: "wait some minutes, and look again",
    };
  });
  return unlessAny(problems, `${WANTED_FIELDS.length} fields as in firestore.indexes.json`);
}

/** Checks that Firestore's TTL policies delete expired documents. */
export async function ttl(it: Deployment): Promise<Verdict> {
  const ofDatabase = `--database=${await it.databaseId()}`;
  const problems = await eachField(it, (override, field) => {
    const { collectionGroup, fieldPath, ttl: isMeant = false } = override;
    if (!isMeant || isExpiring(field)) return undefined;
    const words = [
      "firestore",
      "fields",
      "ttls",
      "update",
      fieldPath,
      `--collection-group=${collectionGroup}`,
      ofDatabase,
    ];
    return {
      what: `${collectionGroup} are kept for ever`,
      fix: gcloud(it.projectId, ...words, "--enable-ttl"),
    };
  });
  return unlessAny(problems, "old notes of security events are deleted");
}

/**
 * Checks that the published rules are the receiver's, which let no client in (Firebase Rules v1,
 * `projects.releases`).
 */
export async function rules(it: Deployment): Promise<Verdict> {
  const id = await it.databaseId();
  const fix = `gcloud auth print-access-token | npx tsx infra/firestore-rules.ts ${it.projectId} '${id}'`;
  const role = "roles/firebaserules.viewer";
  const release = await it.cloud.ask({
    api: "firebaserules",
    path: `projects/${it.projectId}/releases/${releaseOf(id)}`,
    shape: Release,
    role,
  });
  if (release === undefined) return failed("no rules are published", fix);
  const path = release.rulesetName;
  const ruleset = await it.cloud.ask({ api: "firebaserules", path, shape: Ruleset, role });
  const ours = readFileSync(new URL("../../../firestore.rules", import.meta.url), "utf8");
  const isOurs = rulesOf(ruleset?.source.files[0]?.content ?? "") === rulesOf(ours);
  return isOurs
    ? passed("no client is let in")
    : failed("the published rules are not firestore.rules", fix);
}

/** The name of the release of a database's rules; the default database has its own pattern. */
function releaseOf(id: string): string {
  return id === DEFAULT_DATABASE ? "cloud.firestore" : `cloud.firestore/${id}`;
}

/** Rules without comments and white space. */
function rulesOf(text: string): string {
  return text
    .replaceAll(/\/\/.*$/gm, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}

function notAsMeant(wanted: WantedField, field: Field): string | undefined {
  return hasIndexes(field, wanted) ? undefined : wanted.fieldPath;
}

async function eachField<T>(
  it: Deployment,
  describe: (wanted: WantedField, field: Field) => T | undefined,
  fields: readonly WantedField[] = WANTED_FIELDS,
): Promise<T[]> {
  const parent = await databaseOf(it);
  const problems = await Promise.all(
    fields.map(async (override) => {
      const { collectionGroup, fieldPath } = override;
      const path = `${parent}/collectionGroups/${collectionGroup}/fields/${fieldPath}`;
      const question = { api: "firestore", path, shape: Field, role: VIEWER } as const;
      const field = await it.cloud.ask(question);
      if (field === undefined) throw new Unchecked("there is no database (see firestore)");
      return describe(override, field);
    }),
  );
  return problems.filter((problem) => problem !== undefined);
}

async function databaseOf(it: Deployment): Promise<string> {
  return `projects/${it.projectId}/databases/${await it.databaseId()}`;
}
