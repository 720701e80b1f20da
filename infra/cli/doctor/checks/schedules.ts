import { z } from "zod";
import { FUNCTIONS } from "../../functions.ts";
import { type Deployment, addressesOf, deployed, lastPart } from "../deployment.ts";
import { type Problem, type Verdict, failed, gcloud, unlessAny } from "../verdict.ts";
import { isAt, mayCall } from "./subscription.ts";

/** Cloud Scheduler v1, `projects.locations.jobs`. */
const Job = z.object({
  name: z.string(),
  state: z.string().default("ENABLED"),
  schedule: z.string().default(""),
  lastAttemptTime: z.string().optional(),
  status: z.object({ code: z.number().default(0) }).optional(),
  httpTarget: z
    .object({
      uri: z.string().default(""),
      httpMethod: z.string().default("POST"),
      oidcToken: z
        .object({ serviceAccountEmail: z.string().default(""), audience: z.string().optional() })
        .optional(),
    })
    .optional(),
});

/** Checks the job that runs a function on its schedule, found by the URL that it calls. */
export function schedule(
  name: "watchRenewal" | "mailboxReconciliation",
): (it: Deployment) => Promise<Verdict> {
  return async (it) => {
    const { number } = await it.project();
    const addresses = addressesOf(await deployed(it, name), number, it.region);
    const question = {
      api: "cloudscheduler",
      path: `projects/${it.projectId}/locations/${it.region}/jobs`,
      role: "roles/cloudscheduler.viewer",
    } as const;
    const jobs = (await it.cloud.askAll(question, "jobs", Job)) ?? [];
    const job = jobs.find(({ httpTarget }) => {
      return addresses.some((address) => isAt(httpTarget?.uri ?? "", address));
    });
    if (job === undefined)
      return failed(`no job in ${it.region} calls ${name}`, await it.redeploy());

    const id = lastPart(job.name);
    const act = (...words: string[]) =>
      gcloud(it.projectId, "scheduler", "jobs", ...words, `--location=${it.region}`);
    const problems: Problem[] = [];
    const add = (what: string, fix: string) => void problems.push({ what, fix });
    if (job.state !== "ENABLED") add(`it is ${job.state}`, act("resume", id));
    const wanted = FUNCTIONS[name].schedule ?? "";
    if (job.schedule !== wanted) {
      const fix = act("update", "http", id, `--schedule=${wanted}`);
      add(`it runs at ${job.schedule}, not at ${wanted}`, fix);
    }
    const { ingressSettings } = (await deployed(it, name)).serviceConfig;
    const host = new URL(job.httpTarget?.uri ?? "").hostname;
    if (ingressSettings !== "ALLOW_ALL" && !host.endsWith(".run.app")) {
      // Cloud Run admits Cloud Scheduler as internal only at its own addresses.
      add(`its calls to ${host} are rejected, because ${name} is internal`, await it.redeploy());
    }
    const { httpMethod = "", oidcToken } = job.httpTarget ?? {};
    if (httpMethod !== "POST")
      add(`it sends ${httpMethod}`, act("update", "http", id, "--http-method=POST"));
    if (oidcToken === undefined) add("its calls are not signed", await it.redeploy());
    else {
      if (!addresses.includes(oidcToken.audience ?? job.httpTarget?.uri.replace(/\/$/, "") ?? "")) {
        const audience = `--oidc-token-audience=${addresses[0] ?? ""}`;
        const account = `--oidc-service-account-email=${oidcToken.serviceAccountEmail}`;
        const what = `its audience is ${oidcToken.audience ?? "its whole address"}, not the function's URL`;
        add(what, act("update", "http", id, account, audience));
      }
      problems.push(...(await mayCall(it, name, oidcToken.serviceAccountEmail)));
    }
    const { code = 0 } = job.status ?? {};
    if (code !== 0) add(`its last run failed with code ${code}`, act("run", id));
    if (job.lastAttemptTime === undefined) add("it has never run", act("run", id));
    return unlessAny(problems, `${id}, ${job.schedule}, last at ${job.lastAttemptTime}`);
  };
}
