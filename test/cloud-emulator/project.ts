import settings from "../../functions/src/entries/functions.json" with { type: "json" };
import { readFileSync } from "node:fs";
import exclusion from "../../infra/log-exclusion.json" with { type: "json" };
import indexes from "../../infra/firestore.indexes.json" with { type: "json" };
import exempt from "../../infra/firestore.exempt.json" with { type: "json" };
import services from "../../infra/services.json" with { type: "json" };
import type { CloudState, Policy } from "./state.ts";

/** Which of the three ways to deploy made a project: they differ in names, and in what calls what. */
export type MadeBy = "deploy.sh" | "terraform" | "firebase";

export interface ProjectOptions {
  madeBy: MadeBy;
  /** The settings of the functions, secrets among them. */
  env: Readonly<Record<string, string>>;
  securityEventUrl: string;
}

export const PROJECT = "demo-cloud";
export const PROJECT_NUMBER = "123456789012";
export const REGION = "us-central1";
const DATABASE = `projects/${PROJECT}/databases/gmail-push`;
const LOCATION = `projects/${PROJECT}/locations/${REGION}`;
const GMAIL = "serviceAccount:gmail-api-push@system.gserviceaccount.com";
const PUBSUB = `serviceAccount:service-${PROJECT_NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com`;
/** What `TOKEN_KEYS` is stored as, where the emulated KMS opens it. */
const WRAPPED = Buffer.from("the ring, wrapped").toString("base64");

type FunctionName = keyof typeof settings;
type Settings = Partial<{ retry: boolean; schedule: string }> & (typeof settings)[FunctionName];

function noState(): CloudState {
  return {
    resources: new Map(),
    policies: new Map(),
    services: new Set(),
    payloads: new Map(),
    plaintexts: new Map(),
    users: new Map(),
    lacking: new Set(),
    denied: undefined,
  };
}

/** A new project with billing, of a person who owns it, in an organization without policies. */
export function emptyProject(projectId: string, number: string): CloudState {
  const state = noState();
  const { resources } = state;
  const add = (path: string, resource: object) => void resources.set(path, { ...resource });
  add(`v3/projects/${projectId}`, { name: `projects/${number}`, projectId, state: "ACTIVE" });
  add(`v1/projects/${projectId}/billingInfo`, { billingEnabled: true });
  add(`v2/projects/${projectId}/locations/${REGION}`, { locationId: REGION });
  const quota = "services/run.googleapis.com/quotaInfos/CpuAllocPerProjectRegion";
  add(`v1/projects/${projectId}/locations/global/${quota}`, {
    quotaId: "CpuAllocPerProjectRegion",
    dimensionsInfos: [{ applicableLocations: [REGION], details: { value: "20000" } }],
  });
  // gcloud's own project asks, which has every API.
  for (const name of services) state.services.add(name);
  return state;
}

/** A project as a deployment leaves it when all is well. */
export function healthyProject({ madeBy, env, securityEventUrl }: ProjectOptions): CloudState {
  const state = noState();
  state.stream = { url: securityEventUrl, status: "enabled", events: [...RISC_EVENTS] };
  for (const name of services) state.services.add(name);
  const { resources } = state;
  const accounts = [...new Set(Object.keys(settings).map((name) => accountOf(name, madeBy)))];
  resources.set(`v3/projects/${PROJECT}`, {
    name: `projects/${PROJECT_NUMBER}`,
    projectId: PROJECT,
    state: "ACTIVE",
  });
  const ownDatabase = {
    title: "gmail-push-database",
    expression: `resource.name == "${DATABASE}"`,
  };
  const usesDatabase = { role: "roles/datastore.user", members: accounts, condition: ownDatabase };
  const builder = { role: "roles/cloudbuild.builds.builder", members: [builderOf(madeBy)] };
  const ofCli = ["roles/pubsub.publisher", "roles/run.invoker"].map((role) => ({
    role,
    members: accounts,
  }));
  state.policies.set(`v3/projects/${PROJECT}`, {
    bindings: [usesDatabase, builder, ...(madeBy === "firebase" ? ofCli : [])],
  });
  const repository = `v1/${repositoryOf(madeBy)}`;
  resources.set(repository, {
    name: repository.slice("v1/".length),
    format: "DOCKER",
    cleanupPolicies: { "keep-recent-images": { id: "keep-recent-images", action: "KEEP" } },
  });
  const keyRing = madeBy === "terraform" ? "gmail-push" : "gmail-push-receiver";
  const key = `v1/${LOCATION}/keyRings/${keyRing}/cryptoKeys/token-keys`;
  addSecretsAndKey(state, madeBy, env, key, accounts);
  addFunctions(state, madeBy, env, key);
  addTopics(state, madeBy, accounts);
  addSchedules(state, madeBy);
  addDatabase(state, madeBy);
  resources.set(`v2/projects/${PROJECT}/sinks/_Default`, {
    name: "_Default",
    filter: 'NOT LOG_ID("cloudaudit.googleapis.com/activity")',
    exclusions: [exclusion],
  });
  return state;
}

const RISC_EVENTS = [
  "oauth/event-type/tokens-revoked",
  "oauth/event-type/token-revoked",
  "risc/event-type/sessions-revoked",
  "risc/event-type/account-disabled",
  "risc/event-type/account-enabled",
  "risc/event-type/account-credential-change-required",
  "risc/event-type/verification",
].map((type) => `https://schemas.openid.net/secevent/${type}`);

function secretId(name: string, madeBy: MadeBy): string {
  return madeBy === "terraform" ? `gmail-push-${name.toLowerCase().replaceAll("_", "-")}` : name;
}

function addSecretsAndKey(
  state: CloudState,
  madeBy: MadeBy,
  env: ProjectOptions["env"],
  key: string,
  accounts: string[],
): void {
  const { resources, policies, payloads } = state;
  for (const name of settings.connect.secrets) {
    const secret = `v1/projects/${PROJECT}/secrets/${secretId(name, madeBy)}`;
    const version = `${secret}/versions/1`;
    resources.set(secret, { name: secret.slice("v1/".length) });
    resources.set(version, { name: version.slice("v1/".length), state: "ENABLED" });
    const isWrapped = name === "TOKEN_KEYS" && madeBy !== "firebase";
    payloads.set(version, isWrapped ? WRAPPED : (env[name] ?? "none"));
    const readers = name === "RETURN_TO_SECRET" ? [accountOf("connect", madeBy)] : accounts;
    policies.set(secret, bind(["roles/secretmanager.secretAccessor", readers]));
  }
  if (madeBy === "firebase") return;
  const primary = { name: `${key.slice("v1/".length)}/cryptoKeyVersions/1`, state: "ENABLED" };
  resources.set(key, { name: key.slice("v1/".length), purpose: "ENCRYPT_DECRYPT", primary });
  policies.set(key, bind(["roles/cloudkms.cryptoKeyDecrypter", accounts]));
  state.plaintexts.set(`${key} ${WRAPPED}`, env["TOKEN_KEYS"] ?? "");
}

function serviceOf(name: string, madeBy: MadeBy): string {
  return madeBy === "terraform" ? kebab(name) : name.toLowerCase();
}

/** As Cloud Run names it at random. */
function uriOf(name: string, madeBy: MadeBy): string {
  return `https://${serviceOf(name, madeBy)}-ab12cd34ef-uc.a.run.app`;
}

function addFunctions(
  { resources, policies }: CloudState,
  madeBy: MadeBy,
  env: ProjectOptions["env"],
  key: string,
): void {
  const plain = Object.entries(env).filter(([name]) => !settings.connect.secrets.includes(name));
  for (const [name, its] of Object.entries(settings) as [string, Settings][]) {
    const id = madeBy === "terraform" ? kebab(name) : name;
    const service = `${LOCATION}/services/${serviceOf(name, madeBy)}`;
    resources.set(`v2/${service}`, { name: service });
    policies.set(`v2/${service}`, bind(["roles/run.invoker", [callerOf(its, madeBy)]]));
    const hasTrigger = its.trigger === "topic" && madeBy !== "terraform";
    resources.set(`v2/${LOCATION}/functions/${id}`, {
      name: `${LOCATION}/functions/${id}`,
      state: "ACTIVE",
      environment: "GEN_2",
      url: sharedUrlOf(id),
      labels:
        madeBy === "terraform"
          ? {}
          : { "deployment-tool": madeBy === "firebase" ? "cli-firebase" : "cli-gcloud" },
      buildConfig: {
        runtime: "nodejs24",
        entryPoint: name,
        dockerRepository: repositoryOf(madeBy),
        ...(madeBy !== "firebase" && {
          serviceAccount: builderOf(madeBy).replace(
            "serviceAccount:",
            `projects/${PROJECT}/serviceAccounts/`,
          ),
        }),
      },
      serviceConfig: {
        service,
        uri: uriOf(name, madeBy),
        serviceAccountEmail: accountOf(name, madeBy).replace("serviceAccount:", ""),
        timeoutSeconds: its.timeoutSeconds,
        availableMemory: `${its.memoryMiB}Mi`,
        availableCpu: String(its.cpu),
        maxInstanceRequestConcurrency: its.concurrency,
        ...(its.minInstances > 0 && { minInstanceCount: its.minInstances }),
        maxInstanceCount: its.maxInstances,
        ingressSettings:
          its.trigger === "http" || (its.trigger === "schedule" && madeBy === "firebase")
            ? "ALLOW_ALL"
            : "ALLOW_INTERNAL_ONLY",
        environmentVariables: {
          ...Object.fromEntries(plain),
          FIRESTORE_DATABASE: "gmail-push",
          NODE_OPTIONS: "--max-old-space-size=256",
          ...(madeBy !== "firebase" && { TOKEN_KEYS_KMS_KEY: key.slice("v1/".length) }),
        },
        secretEnvironmentVariables: its.secrets.map((secret) => ({
          key: secret,
          projectId: PROJECT,
          secret: secretId(secret, madeBy),
          version: "1",
        })),
      },
      ...(hasTrigger && {
        eventTrigger: {
          trigger: `${LOCATION}/triggers/gmailnotification-123456`,
          eventType: "google.cloud.pubsub.topic.v1.messagePublished",
          pubsubTopic: `projects/${PROJECT}/topics/gmail-notifications`,
          retryPolicy: "RETRY_POLICY_RETRY",
        },
      }),
    });
  }
  for (const [name, stage] of [
    ["nodejs18", "DECOMMISSIONED"],
    ["nodejs20", "DECOMMISSIONED"],
    ["nodejs22", "GA"],
    ["nodejs24", "GA"],
  ] as const) {
    resources.set(`v2/${LOCATION}/runtimes/${name}`, { name, stage, environment: "GEN_2" });
  }
}

function callerOf({ trigger, ...its }: Settings, madeBy: MadeBy): string {
  const [topic, schedule] =
    madeBy === "terraform"
      ? ["notification-push", "schedules"]
      : ["event-invoker", "schedule-invoker"];
  if (trigger === "http") return its.public ? "allUsers" : account("help-desk");
  if (madeBy === "firebase") return accountOf("", madeBy);
  return account(trigger === "topic" ? topic : schedule);
}

function addTopics({ resources, policies }: CloudState, madeBy: MadeBy, accounts: string[]): void {
  const topic = (id: string) => `projects/${PROJECT}/topics/${id}`;
  const deadLetters = "gmail-notifications-dead-letters";
  for (const id of ["gmail-notifications", "mailbox-changes", deadLetters]) {
    resources.set(`v1/${topic(id)}`, { name: topic(id) });
  }
  policies.set(`v1/${topic("gmail-notifications")}`, bind(["roles/pubsub.publisher", [GMAIL]]));
  policies.set(`v1/${topic("mailbox-changes")}`, bind(["roles/pubsub.publisher", accounts]));
  policies.set(`v1/${topic(deadLetters)}`, bind(["roles/pubsub.publisher", [PUBSUB]]));
  const isTerraform = madeBy === "terraform";
  const id = isTerraform
    ? "gmail-notifications"
    : `eventarc-${REGION}-gmailnotification-123456-sub-789`;
  const uri = uriOf("gmailNotification", madeBy);
  const caller = callerOf(settings.gmailNotification, madeBy).replace("serviceAccount:", "");
  const below = isTerraform ? "" : "/?__GCP_CloudEventsMode=CUSTOM_PUBSUB";
  const name = `projects/${PROJECT}/subscriptions/${id}`;
  resources.set(`v1/${name}`, {
    name,
    topic: topic("gmail-notifications"),
    state: "ACTIVE",
    ackDeadlineSeconds: 600,
    messageRetentionDuration: "604800s",
    expirationPolicy: {},
    retryPolicy: { minimumBackoff: "10s", maximumBackoff: "600s" },
    ...(madeBy !== "firebase" && {
      deadLetterPolicy: { deadLetterTopic: topic(deadLetters), maxDeliveryAttempts: 20 },
    }),
    pushConfig: {
      pushEndpoint: `${uri}${below}`,
      oidcToken: { serviceAccountEmail: caller, audience: uri },
    },
  });
  policies.set(`v1/${name}`, bind(["roles/pubsub.subscriber", [PUBSUB]]));
  const kept = `projects/${PROJECT}/subscriptions/${deadLetters}`;
  resources.set(`v1/${kept}`, { name: kept, topic: topic(deadLetters), expirationPolicy: {} });
}

function addSchedules({ resources }: CloudState, madeBy: MadeBy): void {
  for (const name of ["watchRenewal", "mailboxReconciliation"] as const) {
    const id = madeBy === "firebase" ? `firebase-schedule-${name}-${REGION}` : kebab(name);
    const job = `${LOCATION}/jobs/${id}`;
    const uri = uriOf(name, madeBy);
    const caller = callerOf(settings[name], madeBy).replace("serviceAccount:", "");
    resources.set(`v1/${job}`, {
      name: job,
      state: "ENABLED",
      schedule: settings[name].schedule,
      timeZone: "Etc/UTC",
      lastAttemptTime: "2026-11-20T12:00:00.123456Z",
      status: {},
      httpTarget: {
        uri: { "deploy.sh": uri, terraform: `${uri}/`, firebase: sharedUrlOf(name) }[madeBy],
        httpMethod: "POST",
        oidcToken: { serviceAccountEmail: caller, ...(madeBy !== "firebase" && { audience: uri }) },
      },
    });
  }
}

function addDatabase({ resources }: CloudState, madeBy: MadeBy): void {
  resources.set(`v1/${DATABASE}`, {
    name: DATABASE,
    type: "FIRESTORE_NATIVE",
    databaseEdition: "STANDARD",
  });
  // Terraform exempts field by field.
  const alone = Object.entries(exempt).flatMap(([collectionGroup, paths]) =>
    paths.map((fieldPath) => ({ collectionGroup, fieldPath, indexes: [] })),
  );
  const fields =
    madeBy === "terraform"
      ? [...indexes.fieldOverrides.filter(({ fieldPath }) => fieldPath !== "*"), ...alone]
      : indexes.fieldOverrides;
  for (const { collectionGroup, fieldPath, indexes: meant, ...rest } of fields) {
    const name = `${DATABASE}/collectionGroups/${collectionGroup}/fields/${fieldPath}`;
    resources.set(`v1/${name}`, {
      name,
      indexConfig: {
        indexes: meant.map(({ order, queryScope }) => ({
          queryScope,
          state: "READY",
          fields: [{ fieldPath, order }],
        })),
      },
      ...("ttl" in rest && { ttlConfig: { state: "ACTIVE" } }),
    });
  }
  const rulesetName = `projects/${PROJECT}/rulesets/1`;
  const content = readFileSync(new URL("../../infra/firestore.rules", import.meta.url), "utf8");
  const release = `projects/${PROJECT}/releases/cloud.firestore/gmail-push`;
  resources.set(`v1/${release}`, { name: release, rulesetName });
  resources.set(`v1/${rulesetName}`, {
    name: rulesetName,
    source: { files: [{ name: "firestore.rules", content }] },
  });
}

/** At the host that all functions of a project share. */
function sharedUrlOf(id: string): string {
  return `https://${REGION}-${PROJECT}.cloudfunctions.net/${id}`;
}

/** The account that a function runs as. The Firebase CLI makes one for all of them. */
function accountOf(name: string, madeBy: MadeBy): string {
  return account(madeBy === "firebase" ? "firebase-functions" : kebab(name));
}

/** The Firebase CLI names none, so that Google builds with the default compute account. */
function builderOf(madeBy: MadeBy): string {
  return madeBy === "firebase"
    ? `serviceAccount:${PROJECT_NUMBER}-compute@developer.gserviceaccount.com`
    : account("function-build");
}

function repositoryOf(madeBy: MadeBy): string {
  return `${LOCATION}/repositories/${madeBy === "firebase" ? "gcf-artifacts" : "gmail-push-images"}`;
}

function account(name: string): string {
  return `serviceAccount:${name}@${PROJECT}.iam.gserviceaccount.com`;
}

function bind(...bindings: [role: string, members: string[]][]): Policy {
  return { bindings: bindings.map(([role, members]) => ({ role, members: [...members] })) };
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
