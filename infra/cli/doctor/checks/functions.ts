import { VARIABLE_NAMES } from "../../../../functions/src/config/variables.ts";
import settings from "../../../../functions/src/entries/functions.json" with { type: "json" };
import { z } from "zod";
import { FUNCTIONS, type FunctionName } from "../../functions.ts";
import { type CloudFunction, type Deployment, lastPart } from "../deployment.ts";
import { isSharingRestricted } from "../org-policies.ts";
import { type Problem, type Verdict, Unchecked, failed, gcloud, unlessAny } from "../verdict.ts";
import { EVERYBODY, isAllowed, readPolicy } from "../iam.ts";

/** Cloud Run v2, `projects.locations.services`. */
const Service = z.object({ invokerIamDisabled: z.boolean().default(false) });
const Runtime = z.object({ name: z.string(), stage: z.string().optional() });

/**
 * Checks a function (Cloud Functions v2): deployed, running, configured as `functions.json` says,
 * and callable only by those that should call it.
 */
export function deployedFunction(name: FunctionName): (it: Deployment) => Promise<Verdict> {
  return async (it) => {
    const functions = await it.functions();
    const found = functions[name];
    const redeploy = await it.redeploy();
    if (found === undefined) return failed(`it is not deployed in ${it.region}`, redeploy);
    const problems = [
      ...describeState(found, redeploy),
      ...(await describeRuntime(it, found, redeploy)),
      ...describeSizes(name, found, redeploy),
      ...describeSettings(found, functions.connect ?? found, redeploy),
      ...(await describeCallers(it, name, found)),
    ];
    const { runtime } = found.buildConfig;
    return unlessAny(problems, `${lastPart(found.name)}, ${runtime}, as it was meant to be`);
  };
}

function describeState({ state }: CloudFunction, redeploy: string): Problem[] {
  return state === "ACTIVE" ? [] : [{ what: `its state is ${state}`, fix: redeploy }];
}

async function describeRuntime(
  { cloud, projectId, region }: Deployment,
  { buildConfig: { runtime } }: CloudFunction,
  redeploy: string,
): Promise<Problem[]> {
  const question = {
    api: "cloudfunctions",
    path: `projects/${projectId}/locations/${region}/runtimes`,
    role: "roles/cloudfunctions.viewer",
  } as const;
  const runtimes = (await cloud.askAll(question, "runtimes", Runtime)) ?? [];
  const stages = runtimes.filter((each) => each.name === runtime).map(({ stage }) => stage);
  const isEnded = stages.some((stage) => stage === "DECOMMISSIONED" || stage === "DEPRECATED");
  return isEnded ? [{ what: `the runtime ${runtime} is ${stages.join()}`, fix: redeploy }] : [];
}

function describeSizes(name: FunctionName, its: CloudFunction, redeploy: string): Problem[] {
  const wanted = FUNCTIONS[name];
  const { serviceConfig: has, eventTrigger } = its;
  const isRetried = eventTrigger === undefined || eventTrigger.retryPolicy === "RETRY_POLICY_RETRY";
  const ingress = ingressOf(name, has.environmentVariables["LOAD_BALANCERS"]);
  // The Firebase CLI does not restrict ingress by itself; the check of callers covers that.
  const isIngressRight =
    has.ingressSettings === ingress ||
    (!wanted.public && its.labels["deployment-tool"] === "cli-firebase");
  const differences: [what: string, is: unknown, meant: unknown][] = [
    ["timeout", has.timeoutSeconds, wanted.timeoutSeconds],
    ["memory in MiB", mebibytes(has.availableMemory), wanted.memoryMiB],
    ["heap in MiB", heapOf(has.environmentVariables["NODE_OPTIONS"]), wanted.memoryMiB / 2],
    ["CPU", Number(has.availableCpu), wanted.cpu],
    ["concurrency", has.maxInstanceRequestConcurrency, wanted.concurrency],
    ["minimum of instances", has.minInstanceCount, wanted.minInstances],
    ["maximum of instances", has.maxInstanceCount, wanted.maxInstances],
    ["ingress", isIngressRight ? ingress : has.ingressSettings, ingress],
    ["retry of failed events", isRetried, true],
  ];
  return differences
    .filter(([, is, meant]) => is !== meant)
    .map(([what, is, meant]) => ({
      what: `${what}: ${String(is)}, not ${String(meant)}`,
      fix: redeploy,
    }));
}

/** A client that reaches `connect` without its load balancer could claim any IP address. */
function ingressOf(name: FunctionName, loadBalancers: string | undefined): string {
  if (FUNCTIONS[name].trigger !== "http") return "ALLOW_INTERNAL_ONLY";
  const isBehind = name === "connect" && Number(loadBalancers ?? 0) > 0;
  return isBehind ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL";
}

/**
 * Returns the limit of the heap in MiB; `NaN` if nothing sets it. Google's build then gives the heap
 * 80 % of the memory, and an instance can run out of memory before it collects garbage.
 */
function heapOf(nodeOptions = ""): number {
  return Number(/--max-old-space-size=(\d+)/.exec(nodeOptions)?.[1]);
}

/** Returns the mebibytes of a Kubernetes quantity. */
function mebibytes(quantity: string): number {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)(Mi?|Gi?)B?$/.exec(quantity) ?? [];
  const size: Record<string, number> = { Mi: 1, M: 1e6 / 2 ** 20, Gi: 1024, G: 1e9 / 2 ** 20 };
  return Number(amount) * (size[unit] ?? Number.NaN);
}

/**
 * Compares the settings of two functions: with different settings they would seal, sign or publish
 * differently. Variables that the tools set by themselves may differ.
 */
function describeSettings(its: CloudFunction, other: CloudFunction, redeploy: string): Problem[] {
  const [mine, theirs] = [its, other].map(({ serviceConfig }) => {
    const { environmentVariables, secretEnvironmentVariables } = serviceConfig;
    const secrets = secretEnvironmentVariables.map(({ key, secret, version }) => {
      return [key, `${secret}:${version}`] as const;
    });
    return new Map([...Object.entries(environmentVariables), ...secrets]);
  });
  const names = [...new Set([...(mine?.keys() ?? []), ...(theirs?.keys() ?? [])])]
    .filter(
      (name) => VARIABLE_NAMES.includes(name) && !isWithheld(name, its.buildConfig.entryPoint),
    )
    .filter((name) => mine?.get(name) !== theirs?.get(name));
  return names.map((name) => ({
    what: `${name} is another one than that of connect`,
    fix: redeploy,
  }));
}

/** Whether a function does not receive this secret, because only others need it. */
function isWithheld(name: string, entryPoint: string): boolean {
  const own = Object.entries(settings).find(([each]) => each === entryPoint)?.[1].secrets ?? [];
  const all = Object.values(settings).flatMap(({ secrets }) => secrets);
  return all.includes(name) && !own.includes(name);
}

async function describeCallers(
  it: Deployment,
  name: FunctionName,
  { serviceConfig: { service } }: CloudFunction,
): Promise<Problem[]> {
  const policy = await readPolicy(it.cloud, "run", service, "roles/run.viewer");
  if (policy === undefined) return [];
  const question = { api: "run", path: service, shape: Service, role: "roles/run.viewer" } as const;
  // Then Cloud Run asks for no right: the way to be public where a policy forbids `allUsers`.
  const isUnguarded = (await it.cloud.ask(question))?.invokerIamDisabled ?? false;
  const open = EVERYBODY.flatMap((member) =>
    policy.bindings
      .filter((binding) => isAllowed("invoke", member, [{ bindings: [binding] }]))
      .map(({ role }) => ({ member, role })),
  );
  const region = `--region=${it.region}`;
  if (FUNCTIONS[name].public) {
    if (isUnguarded || open.some(({ member }) => member === "allUsers")) return [];
    return [{ what: "it is not public, and has to be", fix: await howToOpen(it, service) }];
  }
  const guard = ["run", "services", "update", lastPart(service), region, "--invoker-iam-check"];
  return [
    ...(isUnguarded
      ? [{ what: "Cloud Run lets everybody call it", fix: gcloud(it.projectId, ...guard) }]
      : []),
    ...open.map(({ member, role }) => ({
      what: `${member} may call it`,
      fix: changeRight(it, service, "remove", member, role),
    })),
  ];
}

/** Returns the command that makes a service public, where the organization refuses `allUsers`, too. */
async function howToOpen(it: Deployment, service: string): Promise<string> {
  const isRefused = await isSharingRestricted(it.cloud, it.projectId).catch((error: unknown) => {
    // Few may see the policies.
    if (error instanceof Unchecked) return false;
    throw error;
  });
  if (!isRefused) return changeRight(it, service, "add", "allUsers", "roles/run.invoker");
  const region = `--region=${it.region}`;
  return gcloud(
    it.projectId,
    "run",
    "services",
    "update",
    lastPart(service),
    region,
    "--no-invoker-iam-check",
  );
}

function changeRight(
  { projectId, region }: Deployment,
  service: string,
  verb: "add" | "remove",
  member: string,
  role: string,
): string {
  const name = lastPart(service);
  const flags = [`--region=${region}`, `--member=${member}`, `--role=${role}`];
  return gcloud(projectId, "run", "services", `${verb}-iam-policy-binding`, name, ...flags);
}
