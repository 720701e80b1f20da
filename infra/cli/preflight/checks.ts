import { z } from "zod";
import SERVICES from "../../services.json" with { type: "json" };
import type { Cloud } from "../doctor/cloud.ts";
import { isAllowed, readPolicy } from "../doctor/iam.ts";
import { SHARING, isSharingRestricted, readRules } from "../doctor/org-policies.ts";
import { Unchecked, failed, gcloud, passed, type Verdict, warning } from "../doctor/verdict.ts";
import { GMAIL } from "../doctor/checks/topics.ts";
import { FUNCTIONS } from "../functions.ts";

/** Where the receiver is about to be deployed. */
export interface Target {
  projectId: string;
  region: string;
  clientId: string;
  databaseId: string;
  cloud: Cloud;
}

/** One question about a project, before anything is created in it. It changes nothing. */
export interface PreflightCheck {
  name: string;
  run(target: Target): Promise<Verdict>;
}

/** Every check, in the order in which a deployment would stop. */
export const PREFLIGHT_CHECKS: readonly PreflightCheck[] = [
  { name: "project", run: project },
  { name: "oauth-client", run: oauthClient },
  { name: "billing", run: billing },
  { name: "rights", run: rights },
  { name: "apis", run: apis },
  { name: "region", run: region },
  { name: "policies/members", run: memberPolicy },
  { name: "policies/region", run: regionPolicy },
  { name: "policies/ingress", run: ingressPolicy },
  { name: "policies/public", run: publicPolicy },
  { name: "policies/accounts", run: accountPolicy },
  { name: "cpu-quota", run: cpuQuota },
  { name: "firestore", run: firestore },
  { name: "firebase", run: firebase },
];

/** What `deploy.sh` does that only some roles allow: one of each kind. */
const PERMISSIONS = [
  "serviceusage.services.enable",
  "resourcemanager.projects.setIamPolicy",
  "iam.serviceAccounts.create",
  "iam.serviceAccounts.actAs",
  "pubsub.topics.create",
  "pubsub.topics.setIamPolicy",
  "datastore.databases.create",
  "firebaserules.releases.create",
  "cloudkms.keyRings.create",
  "cloudkms.cryptoKeyVersions.useToEncrypt",
  "secretmanager.secrets.create",
  "artifactregistry.repositories.create",
  "cloudfunctions.functions.create",
  "run.services.setIamPolicy",
  "cloudscheduler.jobs.create",
  "logging.sinks.update",
];

const Project = z.object({ name: z.string(), state: z.string() });
const BillingInfo = z.object({ billingEnabled: z.boolean().default(false) });
const Permissions = z.object({ permissions: z.array(z.string()).default([]) });
const Services = z.object({
  services: z.array(z.object({ name: z.string(), state: z.string().default("") })).default([]),
});
const QuotaInfo = z.object({
  dimensionsInfos: z
    .array(
      z.object({
        applicableLocations: z.array(z.string()).default([]),
        details: z.object({ value: z.string().default("0") }).default({ value: "0" }),
      }),
    )
    .default([]),
});

async function project({ cloud, projectId }: Target): Promise<Verdict> {
  const found = await readProject(cloud, projectId);
  if (found === undefined) return failed(`you see no project ${projectId}`, "gcloud projects list");
  return found.state === "ACTIVE"
    ? passed(`${projectId} (${found.name})`)
    : failed(`the project is ${found.state}`, `gcloud projects undelete ${projectId}`);
}

/** Gmail publishes only to topics of the project that owns the OAuth client. */
async function oauthClient({ cloud, projectId, clientId }: Target): Promise<Verdict> {
  const number = (await readProject(cloud, projectId))?.name.replace("projects/", "");
  const [, owner] = /^(\d+)-/.exec(clientId) ?? [];
  if (owner === undefined || number === undefined) {
    throw new Unchecked("whose client it is: the id does not begin with a project's number");
  }
  if (owner === number) return passed("it is of this project");
  return failed(
    `it is of the project ${owner}, and this one is ${number}: Gmail would not publish here`,
    `create one at https://console.cloud.google.com/auth/clients?project=${projectId}`,
  );
}

async function billing({ cloud, projectId }: Target): Promise<Verdict> {
  const path = `projects/${projectId}/billingInfo`;
  const role = "roles/billing.viewer";
  const info = await cloud.ask({ api: "cloudbilling", path, shape: BillingInfo, role });
  if (info?.billingEnabled === true) return passed("a billing account is linked");
  return failed(
    "no billing account is linked",
    `gcloud billing projects link ${projectId} --billing-account=ACCOUNT`,
  );
}

async function rights({ cloud, projectId }: Target): Promise<Verdict> {
  const path = `projects/${projectId}:testIamPermissions`;
  const body = { permissions: PERMISSIONS };
  const question = { api: "cloudresourcemanager", path, shape: Permissions, body } as const;
  const has = (await cloud.ask({ ...question, role: "roles/browser" }))?.permissions ?? [];
  const lacking = PERMISSIONS.filter((permission) => !has.includes(permission));
  if (lacking.length === 0) return passed("you may create everything");
  return failed(
    `you lack ${lacking.join(", ")}`,
    `gcloud projects add-iam-policy-binding ${projectId} --member=user:YOU --role=roles/owner --condition=None`,
  );
}

async function apis({ cloud, projectId }: Target): Promise<Verdict> {
  const names = SERVICES.map((name) => `names=projects/${projectId}/services/${name}`).join("&");
  const path = `projects/${projectId}/services:batchGet?${names}`;
  const role = "roles/serviceusage.serviceUsageViewer";
  const found = await cloud.ask({ api: "serviceusage", path, shape: Services, role });
  const enabled = (found?.services ?? []).filter(({ state }) => state === "ENABLED").length;
  return passed(`${enabled} are enabled, and deploy.sh enables ${SERVICES.length - enabled}`);
}

async function region({ cloud, projectId, region: wanted }: Target): Promise<Verdict> {
  const question = {
    api: "cloudfunctions",
    path: `projects/${projectId}/locations`,
    role: "roles/cloudfunctions.viewer",
  } as const;
  const Location = z.object({ locationId: z.string() });
  const locations = await cloud.askAll(question, "locations", Location);
  if (locations?.some(({ locationId }) => locationId === wanted)) return passed(wanted);
  return failed(
    `there are no functions in ${wanted}`,
    gcloud(projectId, "functions", "regions", "list"),
  );
}

/** The policy is asked only when a right is given, so an exception for a moment is enough. */
async function memberPolicy(target: Target): Promise<Verdict> {
  const { cloud, projectId } = target;
  if (!(await isSharingRestricted(cloud, projectId)))
    return passed("Gmail's account can be let in");
  const topic = `projects/${projectId}/topics/gmail-notifications`;
  const policy = await readPolicy(cloud, "pubsub", topic, "roles/pubsub.admin").catch(
    (error: unknown) => {
      if (error instanceof Unchecked) return undefined;
      throw error;
    },
  );
  if (policy !== undefined && isAllowed("publish", GMAIL, [policy])) {
    return passed("Gmail's account was let in already");
  }
  return failed(
    "the organization lets only its own accounts in, and Gmail publishes with one of Google's: an administrator of " +
      `its policies lifts this one, and puts it back later (gcloud org-policies delete ${SHARING} --project=${projectId})`,
    gcloud(projectId, "org-policies", "reset", SHARING),
  );
}

async function regionPolicy(target: Target): Promise<Verdict> {
  const { projectId, region: wanted } = target;
  const constraint = "gcp.resourceLocations";
  const rules = await readRules(target, constraint);
  const show = gcloud(projectId, "org-policies", "describe", constraint, "--effective");
  const allowed = rules.flatMap(({ values }) => values.allowedValues);
  const denied = rules.flatMap(({ values }) => values.deniedValues);
  const isNamed = (values: string[]) => values.some((value) => value.includes(wanted));
  if (rules.some(({ denyAll }) => denyAll) || isNamed(denied)) {
    return failed(`the organization does not allow ${wanted}`, show);
  }
  if (allowed.length === 0 || isNamed(allowed)) return passed(`${wanted} is allowed`);
  const groups = allowed.filter((value) => value.startsWith("in:"));
  if (groups.length > 0) {
    throw new Unchecked(`whether ${wanted} is in ${groups.join(", ")}`, { fix: show });
  }
  return failed(`the organization allows only ${allowed.join(", ")}`, show);
}

async function ingressPolicy(target: Target): Promise<Verdict> {
  const constraints = [
    ["run.allowedIngress", "all"],
    ["cloudfunctions.allowedIngressSettings", "ALLOW_ALL"],
  ] as const;
  for (const [constraint, value] of constraints) {
    const rules = await readRules(target, constraint);
    const allowed = rules.flatMap(({ values }) => values.allowedValues);
    const isRefused =
      rules.some(({ denyAll, values }) => denyAll || values.deniedValues.includes(value)) ||
      (allowed.length > 0 && !allowed.some((each) => each === value || each === `is:${value}`));
    if (isRefused) {
      const fix = gcloud(target.projectId, "org-policies", "reset", constraint);
      return failed(`the organization allows no function that the internet reaches`, fix);
    }
  }
  return passed("functions may be public");
}

/** Cloud Run can leave the question who calls out, where a policy refuses everybody a right. */
async function publicPolicy(target: Target): Promise<Verdict> {
  const { cloud, projectId } = target;
  if (!(await isSharingRestricted(cloud, projectId))) return passed("allUsers can be let in");
  const constraint = "run.managed.requireInvokerIam";
  const rules = await readRules(target, constraint);
  if (!rules.some(({ enforce }) => enforce)) {
    return passed(
      "the organization refuses allUsers: deploy.sh opens the pages without, the Firebase CLI with INVOKER_IAM_CHECK=false " +
        `in infra/.env.${projectId}, Terraform with invoker_iam_check = false`,
    );
  }
  return failed(
    "the organization refuses allUsers, and functions that everybody may call without a right",
    gcloud(projectId, "org-policies", "reset", constraint),
  );
}

async function accountPolicy(target: Target): Promise<Verdict> {
  const constraint = "iam.disableServiceAccountCreation";
  const rules = await readRules(target, constraint);
  if (!rules.some(({ enforce }) => enforce)) return passed("service accounts can be created");
  const fix = gcloud(target.projectId, "org-policies", "reset", constraint);
  return failed("the organization allows no new service accounts", fix);
}

/**
 * Cloud Run rejects a function whose instances together could take more CPUs than the quota. A
 * warning, because Cloud Run decides; it says so at the first function.
 */
async function cpuQuota({ cloud, projectId, region: wanted }: Target): Promise<Verdict> {
  const path = `projects/${projectId}/locations/global/services/run.googleapis.com/quotaInfos/CpuAllocPerProjectRegion`;
  const role = "roles/cloudquotas.viewer";
  const info = await cloud.ask({ api: "cloudquotas", path, shape: QuotaInfo, role });
  const quota = info?.dimensionsInfos.find(({ applicableLocations }) => {
    return applicableLocations.includes(wanted);
  });
  if (quota === undefined) throw new Unchecked(`the quota of CPUs in ${wanted}`);
  const cpus = Number(quota.details.value) / MILLI;
  const most = Math.max(...Object.values(FUNCTIONS).map((its) => its.maxInstances * its.cpu));
  if (cpus >= most) return passed(`${cpus} CPUs in ${wanted}; a function takes ${most} at most`);
  return warning(
    `the project may use ${cpus} CPUs in ${wanted}, and a function could take ${most}`,
    "ask for more at https://console.cloud.google.com/iam-admin/quotas (Cloud Run Admin API, Total CPU allocation), " +
      "or lower maxInstances in functions/src/entries/functions.json",
  );
}
const MILLI = 1_000;

async function firestore({ cloud, projectId, databaseId }: Target): Promise<Verdict> {
  const path = `projects/${projectId}/databases/${databaseId}`;
  const shape = z.object({
    type: z.string().default(""),
    databaseEdition: z.string().default("STANDARD"),
  });
  const role = "roles/datastore.viewer";
  const found = await cloud.ask({ api: "firestore", path, shape, role });
  if (found === undefined) return passed(`${databaseId} will be created`);
  const { type, databaseEdition } = found;
  if (type === "FIRESTORE_NATIVE" && databaseEdition === "STANDARD") {
    return passed(`${databaseId} exists; its rules say whether it is the receiver's`);
  }
  return failed(
    `the database ${databaseId} is ${type}, ${databaseEdition}`,
    "name a native, standard database in FIRESTORE_DATABASE, or one that does not exist",
  );
}

/** Only the Firebase CLI needs it. */
async function firebase({ cloud, projectId }: Target): Promise<Verdict> {
  const path = `projects/${projectId}`;
  const role = "roles/firebase.viewer";
  const found = await cloud.ask({ api: "firebase", path, shape: z.object({}), role });
  if (found !== undefined) return passed("it is a Firebase project");
  return passed(
    `not a Firebase project: only the Firebase CLI needs one (npx firebase projects:addfirebase ${projectId})`,
  );
}

function readProject(cloud: Cloud, projectId: string) {
  const path = `projects/${projectId}`;
  const role = "roles/browser";
  return cloud.ask({ api: "cloudresourcemanager", path, shape: Project, role });
}
