import { z } from "zod";
import SERVICES from "../../../services.json" with { type: "json" };
import { SIGN_IN } from "../cloud.ts";
import type { Deployment } from "../deployment.ts";
import type { Endpoints } from "../endpoints.ts";
import {
  type Problem,
  type Verdict,
  Unchecked,
  failed,
  gcloud,
  passed,
  unlessAny,
} from "../verdict.ts";

const Services = z.object({
  services: z
    .array(
      z.object({
        name: z.string(),
        state: z.string().default("DISABLED"),
        config: z.object({ name: z.string().optional() }).optional(),
      }),
    )
    .default([]),
});

/** Checks that there are credentials to call Google with. */
export function credentials(endpoints: Endpoints): (it: Deployment) => Promise<Verdict> {
  return async ({ cloud }) => {
    if (!endpoints.needsCredentials) return passed("the emulator asks for none");
    try {
      await cloud.authorize();
      return passed("the application default credentials bring an access token");
    } catch (error) {
      if (!(error instanceof Unchecked)) throw error;
      return failed(error.message, SIGN_IN);
    }
  };
}

/** Checks every setting as the functions do when they start. */
export async function configuration(it: Deployment): Promise<Verdict> {
  const { problems, unread } = await it.settings();
  const redeploy = await it.redeploy();
  if (problems.length > 0) {
    return unlessAny(
      problems.map((what) => ({ what, fix: `fix it where it is set, then: ${redeploy}` })),
      "",
    );
  }
  const [first] = unread;
  if (first !== undefined) {
    const names = unread.map(({ name }) => name).join(", ");
    throw new Unchecked(`all is well but what could not be read: ${names} (${first.why})`);
  }
  return passed("every setting is usable");
}

/** Checks the project by `projects.get` (Resource Manager v3). */
export async function project(it: Deployment): Promise<Verdict> {
  const { projectId, cloud } = it;
  const found = await cloud.ask({
    api: "cloudresourcemanager",
    path: `projects/${projectId}`,
    shape: z.object({ name: z.string(), state: z.string() }),
    role: "roles/browser",
  });
  if (found === undefined)
    return failed(`there is no project ${projectId}`, "gcloud projects list");
  return found.state === "ACTIVE"
    ? passed(`${projectId} (${found.name})`)
    : failed(`the project is ${found.state}`, `gcloud projects undelete ${projectId}`);
}

/** Checks by `services.batchGet` (Service Usage v1) that each API of a deployment is enabled. */
export async function apis({ projectId, cloud }: Deployment): Promise<Verdict> {
  const names = SERVICES.map((name) => `names=projects/${projectId}/services/${name}`).join("&");
  const answer = await cloud.ask({
    api: "serviceusage",
    path: `projects/${projectId}/services:batchGet?${names}`,
    shape: Services,
    role: "roles/serviceusage.serviceUsageConsumer",
  });
  const enabled = (answer?.services ?? [])
    .filter(({ state }) => state === "ENABLED")
    .map(({ name }) => name.slice(name.lastIndexOf("/") + 1));
  const problems: Problem[] = SERVICES.filter((name) => !enabled.includes(name)).map((name) => ({
    what: `${name} is not enabled`,
    fix: gcloud(projectId, "services", "enable", name),
  }));
  return unlessAny(problems, `${SERVICES.length} are enabled`);
}
