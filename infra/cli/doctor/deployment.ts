import { z } from "zod";
import type { Config } from "../../../functions/src/config/config.ts";
import { FUNCTIONS, type FunctionName } from "../functions.ts";
import type { Environment } from "../session.ts";
import type { Cloud } from "./cloud.ts";
import { Unchecked } from "./verdict.ts";
import { Policy } from "./iam.ts";
import {
  type SecretName,
  type Settings,
  configOf,
  parseSettings,
  readDeployedSettings,
} from "./settings.ts";

/** Cloud Functions v2, `projects.locations.functions`. Google omits what is zero or empty. */
const CloudFunction = z.object({
  name: z.string(),
  state: z.string().default("STATE_UNSPECIFIED"),
  url: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  buildConfig: z.object({
    runtime: z.string().default(""),
    entryPoint: z.string().default(""),
    serviceAccount: z.string().default(""),
    dockerRepository: z.string().default(""),
  }),
  serviceConfig: z.object({
    service: z.string().default(""),
    uri: z.string().optional(),
    serviceAccountEmail: z.string().default(""),
    timeoutSeconds: z.number().default(0),
    availableMemory: z.string().default(""),
    availableCpu: z.string().default(""),
    maxInstanceRequestConcurrency: z.number().default(1),
    minInstanceCount: z.number().default(0),
    maxInstanceCount: z.number().default(0),
    ingressSettings: z.string().default("ALLOW_ALL"),
    environmentVariables: z.record(z.string(), z.string()).default({}),
    secretEnvironmentVariables: z
      .array(
        z.object({
          key: z.string(),
          projectId: z.string(),
          secret: z.string(),
          version: z.string(),
        }),
      )
      .default([]),
  }),
  eventTrigger: z
    .object({ retryPolicy: z.string().optional(), pubsubTopic: z.string().optional() })
    .optional(),
});
/** One function of Cloud Functions v2. */
export type CloudFunction = z.infer<typeof CloudFunction>;

/** The database that every way of deploying creates for the receiver. */
const OWN_DATABASE = "gmail-push";
/** The database of a deployment without `FIRESTORE_DATABASE`. */
export const DEFAULT_DATABASE = "(default)";

const Project = z.object({ name: z.string(), projectId: z.string(), state: z.string() });

/** The three ways to deploy. */
export type Way = "gcloud" | "terraform" | "firebase";

/** The deployment that the doctor checks. Each part is read once, when a check first needs it. */
export interface Deployment {
  kind: "cloud" | "local";
  projectId: string;
  region: string;
  cloud: Cloud;
  project(): Promise<{ number: string; state: string }>;
  projectPolicy(): Promise<Policy>;
  /**
   * The Firestore database of the functions; the one that a deployment would create if there are
   * none.
   */
  databaseId(): Promise<string>;
  /** The receiver's functions by entry point, since their names depend on the way of deploying. */
  functions(): Promise<Partial<Record<FunctionName, CloudFunction>>>;
  settings(): Promise<Settings>;
  /** Throws {@link Unchecked} if the settings are invalid. */
  config(): Promise<Config>;
  /** Returns the configuration if this secret could be read; otherwise throws {@link Unchecked}. */
  configWith(secret: SecretName): Promise<Config>;
  /** The command that brings the functions up to date. */
  redeploy(): Promise<string>;
}

/** Returns the deployment in a project of Google Cloud. */
export function cloudDeployment(projectId: string, region: string, cloud: Cloud): Deployment {
  const location = `projects/${projectId}/locations/${region}`;
  const project = once(async () => {
    const path = `projects/${projectId}`;
    const role = "roles/browser";
    const found = await cloud.ask({ api: "cloudresourcemanager", path, shape: Project, role });
    if (found === undefined) throw new Unchecked("there is no such project (see project)");
    return { number: found.name.replace("projects/", ""), state: found.state };
  });
  const functions = once(async () => {
    const question = {
      api: "cloudfunctions",
      path: `${location}/functions`,
      role: "roles/cloudfunctions.viewer",
    } as const;
    const all = (await cloud.askAll(question, "functions", CloudFunction)) ?? [];
    return Object.fromEntries(
      all
        .filter(({ buildConfig }) => isFunctionName(buildConfig.entryPoint))
        .map((each) => [each.buildConfig.entryPoint, each]),
    ) as Partial<Record<FunctionName, CloudFunction>>;
  });
  const deployedSettings = once(async () =>
    readDeployedSettings(cloud, projectId, Object.values(await functions())),
  );
  return {
    kind: "cloud",
    projectId,
    region,
    cloud,
    project,
    functions,
    projectPolicy: once(async () => {
      const path = `projects/${projectId}:getIamPolicy`;
      const role = "roles/iam.securityReviewer";
      const question = {
        api: "cloudresourcemanager",
        path,
        shape: Policy,
        role,
        // Older policy versions omit the conditions of bindings.
        body: { options: { requestedPolicyVersion: 3 } },
      } as const;
      return (await cloud.ask(question)) ?? { bindings: [] };
    }),
    async databaseId() {
      const deployedFunctions = await functions();
      const one = deployedFunctions.connect ?? Object.values(deployedFunctions)[0];
      if (one === undefined) return OWN_DATABASE;
      return one.serviceConfig.environmentVariables["FIRESTORE_DATABASE"] || DEFAULT_DATABASE;
    },
    settings: deployedSettings,
    ...configOf(deployedSettings),
    async redeploy() {
      switch (wayOf(await functions())) {
        case "gcloud":
          return `infra/deploy.sh --project ${projectId} --region ${region}`;
        case "terraform":
          return "terraform -chdir=infra/example apply";
        case "firebase":
          return `npx firebase deploy --only functions,firestore --project ${projectId}`;
      }
    },
  };
}

/** Returns the local stack, as the environment describes it. */
export function localDeployment(
  env: Environment,
  makeCloud: (projectId: string) => Cloud,
): Deployment {
  const projectId = env["GOOGLE_CLOUD_PROJECT"] || env["GCLOUD_PROJECT"] || "demo-gmail-push";
  const read = once(() =>
    Promise.resolve({ ...parseSettings({ ...env, GOOGLE_CLOUD_PROJECT: projectId }), unread: [] }),
  );
  const absent = () => Promise.reject(new Unchecked("there is no cloud around the local stack"));
  return {
    kind: "local",
    projectId,
    region: env["REGION"] || "us-central1",
    cloud: makeCloud(projectId),
    project: absent,
    projectPolicy: absent,
    functions: absent,
    databaseId: () => Promise.resolve(env["FIRESTORE_DATABASE"] || DEFAULT_DATABASE),
    settings: read,
    ...configOf(read),
    redeploy: () => Promise.resolve("npm run emulators"),
  };
}

/**
 * Returns a deployed function, or throws {@link Unchecked}: its own check reports that it is
 * missing.
 */
export async function deployed(it: Deployment, name: FunctionName): Promise<CloudFunction> {
  const found = (await it.functions())[name];
  if (found === undefined) throw new Unchecked(`there is no function ${name} (see functions)`);
  return found;
}

/** Returns the accounts that the functions run as; throws when there are none. */
export async function accountsOf(it: Deployment): Promise<string[]> {
  const functions = Object.values(await it.functions());
  if (functions.length === 0) throw new Unchecked("no function is deployed (see functions)");
  return [...new Set(functions.map(({ serviceConfig }) => serviceConfig.serviceAccountEmail))];
}

/** Returns the URLs under which Cloud Run serves a function; it accepts tokens for any of them. */
export function addressesOf(its: CloudFunction, projectNumber: string, region: string): string[] {
  const service = lastPart(its.serviceConfig.service);
  const fixed = `https://${service}-${projectNumber}.${region}.run.app`;
  return [its.serviceConfig.uri, its.url, fixed].filter((url) => url !== undefined);
}

/** Returns the last segment of a resource name. */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

function wayOf(functions: Partial<Record<FunctionName, CloudFunction>>): Way {
  const all = Object.values(functions);
  // Terraform names a function after its Cloud Run service, which has no capitals.
  if (all.some(({ name }) => lastPart(name).includes("-"))) return "terraform";
  const isFirebase = all.some(({ labels }) => labels["deployment-tool"] === "cli-firebase");
  return isFirebase ? "firebase" : "gcloud";
}

function isFunctionName(entryPoint: string): boolean {
  return Object.hasOwn(FUNCTIONS, entryPoint);
}

/** Returns the same result, or the same failure, to every caller. */
function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => (reading ??= read());
}
