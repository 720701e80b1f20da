import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { PROJECT } from "./deploy-script.ts";
import { type Deployed, type Functions, byName } from "./deployed-functions.ts";

// The CLI's own steps of a deployment. It exports no interface for them, so they come by path.
const require = createRequire(import.meta.url);
const cli = (file: string) => require(`firebase-tools/lib/${file}.js`);
const INGRESS: Record<string, string> = {
  ALLOW_ALL: "all",
  ALLOW_INTERNAL_ONLY: "internal-only",
  ALLOW_INTERNAL_AND_GCLB: "internal-and-gclb",
};

interface Endpoint {
  region: string;
  scheduleTrigger?: unknown;
  httpsTrigger?: { invoker?: string[] };
}

/** What the CLI would ask Google for, given these answers to its questions. */
export async function sent(manifest: unknown, answers: Record<string, string>): Promise<Functions> {
  const { yamlToBuild } = cli("deploy/functions/runtimes/discovery/index");
  const { resolveBackend } = cli("deploy/functions/build");
  const { allEndpoints } = cli("deploy/functions/backend");
  const { functionFromEndpoint } = cli("gcp/cloudfunctionsv2");
  const { jobFromEndpoint } = cli("gcp/cloudscheduler");
  const { normalizeAndValidate } = cli("functions/projectConfig");
  const [{ runtime, codebase }] = normalizeAndValidate(readFunctionsConfig());
  const { backend } = await resolveBackend({
    build: yamlToBuild(structuredClone(manifest), PROJECT, "us-central1", runtime),
    firebaseConfig: { projectId: PROJECT },
    userEnvs: answers,
    codebase,
    nonInteractive: true,
    // Secrets are looked up in the cloud otherwise.
    isEmulator: true,
  });
  const made = await Promise.all(
    allEndpoints(backend).map(async (endpoint: Endpoint) => {
      const request = functionFromEndpoint({ ...endpoint, runtime, codebase });
      const { serviceConfig, eventTrigger, buildConfig } = request;
      const job =
        endpoint.scheduleTrigger &&
        (await jobFromEndpoint(
          { ...endpoint, serviceAccount: "of the CLI" },
          endpoint.region,
          "1",
        ));
      return {
        entryPoint: buildConfig.entryPoint,
        region: endpoint.region,
        runtime: buildConfig.runtime,
        topic: eventTrigger?.pubsubTopic?.split("/").at(-1),
        retry: eventTrigger?.retryPolicy === "RETRY_POLICY_RETRY",
        public: endpoint.httpsTrigger?.invoker?.join() === "public",
        ingress: INGRESS[serviceConfig.ingressSettings] ?? "",
        memory: serviceConfig.availableMemory,
        cpu: serviceConfig.availableCpu,
        concurrency: serviceConfig.maxInstanceRequestConcurrency,
        timeoutSeconds: serviceConfig.timeoutSeconds,
        minInstances: serviceConfig.minInstanceCount,
        maxInstances: serviceConfig.maxInstanceCount,
        secrets: serviceConfig.secretEnvironmentVariables
          .map(({ key }: { key: string }) => key)
          .toSorted(),
        schedule: job && {
          schedule: job.schedule,
          timeZone: job.timeZone,
          attemptDeadline: job.attemptDeadline,
          retryCount: job.retryConfig.retryCount,
          minBackoff: job.retryConfig.minBackoffDuration,
        },
      } satisfies Deployed;
    }),
  );
  return byName(made, (each) => each);
}

function readFunctionsConfig() {
  const file = new URL("../../firebase.json", import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")).functions;
}

/** A dotenv file as the CLI reads it. */
export function readDotenv(text: string): { envs: Record<string, string>; errors: string[] } {
  return cli("functions/env").parse(text);
}
