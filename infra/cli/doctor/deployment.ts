import { z } from "zod";
import type { Config } from "../../../functions/src/config/config.ts";
import { FUNCTIONS, type FunctionName } from "../functions.ts";
import type { Environment } from "../session.ts";
import type { Cloud } from "./cloud.ts";
import { Unchecked } from "./result.ts";
import { Policy } from "./iam.ts";
import {
  type SecretName,
  type Settings,
  configOf,
  parseSettings,
  readDeployedSettings,
} from "./settings.ts";

/** Cloud Functions v2, `projects.locations.functions`. Google leaves out what is zero or empty. */
const CloudFunction = z.object({
  name: z.string(),
  state: z.string().default("STATE_UNSPECIFIED"),
  url: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  buildConfig: z.object({ runtime: z.string().default(""), entryPoint: z.string().default("") }),
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
export type CloudFunction = z.infer<typeof CloudFunction>;

/** What every way of deploying creates for the receiver alone. */
const OWN_DATABASE = "gmail-push";
/** Where a deployment without `FIRESTORE_DATABASE` keeps its users. */
export const DEFAULT_DATABASE = "(default)";

const Project = z.object({ name: z.string(), projectId: z.string(), state: z.string() });

/** By which of the three ways of the README the functions came there. */
export type Way = "gcloud" | "terraform" | "firebase";

/** What is looked at. Each reading is made once, when a check first asks for it. */
export interface Deployment {
  kind: "cloud" | "local";
  projectId: string;
  region: string;
  cloud: Cloud;
  project(): Promise<{ number: string; state: string }>;
  projectPolicy(): Promise<Policy>;
  /** The Firestore database of the functions; the one that a deployment creates when there are none. */
  databaseId(): Promise<string>;
  /** Ours, by entry point: what they are called depends on the way of deploying. */
  functions(): Promise<Partial<Record<FunctionName, CloudFunction>>>;
  settings(): Promise<Settings>;
  /** Throws {@link Unchecked} while the settings cannot be used. */
  config(): Promise<Config>;
  /** The configuration, if this secret of it could be read; else throws {@link Unchecked}. */
  configWith(secret: SecretName): Promise<Config>;
  /** The command that brings the functions up to date. */
  redeploy(): Promise<string>;
}

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
        // An older version of the policy hides the conditions of its bindings.
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

/** The local stack: what an environment names, where there is no cloud around. */
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

/** A function of ours, or nothing to say: that it is missing is told by its own check. */
export async function deployed(it: Deployment, name: FunctionName): Promise<CloudFunction> {
  const found = (await it.functions())[name];
  if (found === undefined) throw new Unchecked(`there is no function ${name} (see functions)`);
  return found;
}

/** The accounts that the functions run as; throws when there are none. */
export async function accountsOf(it: Deployment): Promise<string[]> {
  const functions = Object.values(await it.functions());
  if (functions.length === 0) throw new Unchecked("no function is deployed (see functions)");
  return [...new Set(functions.map(({ serviceConfig }) => serviceConfig.serviceAccountEmail))];
}

/** The addresses under which Cloud Run serves a function; tokens for any of them are taken. */
export function addressesOf(its: CloudFunction, projectNumber: string, region: string): string[] {
  const service = lastPart(its.serviceConfig.service);
  const fixed = `https://${service}-${projectNumber}.${region}.run.app`;
  return [its.serviceConfig.uri, its.url, fixed].filter((url) => url !== undefined);
}

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

/** The same answer, or the same failure, for everybody who asks. */
function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => (reading ??= read());
}
