import { z } from "zod";
import { type Deployment, lastPart } from "../deployment.ts";
import { type Problem, type Verdict, Unchecked, gcloud, passed, unlessAny } from "../verdict.ts";
import { withoutRight } from "../iam.ts";

/** Artifact Registry v1, `projects.locations.repositories`. */
const Repository = z.object({ cleanupPolicies: z.record(z.string(), z.unknown()).default({}) });

/** The repository that Google makes for functions that name none. */
const SHARED = "gcf-artifacts";

/**
 * Checks that the account that builds the functions may store their images. The Firebase CLI builds as
 * the default compute account, which has no role in organizations that were created since May 2024.
 */
export async function builds(it: Deployment): Promise<Verdict> {
  const configs = await buildConfigsOf(it);
  const { number } = await it.project();
  const accounts = configs.map(({ serviceAccount }) => {
    return lastPart(serviceAccount) || `${number}-compute@developer.gserviceaccount.com`;
  });
  const lacking = await withoutRight("storeImage", accounts, undefined, it.projectPolicy);
  return unlessAny(
    lacking.map((account) => ({
      what: `${account} may not build functions`,
      fix: `gcloud projects add-iam-policy-binding ${it.projectId} --member=serviceAccount:${account} --role=roles/cloudbuild.builds.builder --condition=None`,
    })),
    [...new Set(accounts)].join(", "),
  );
}

/** Warns of a repository that keeps the image of every deployment for ever. */
export async function images(it: Deployment): Promise<Verdict> {
  const repositories = (await buildConfigsOf(it)).map(({ dockerRepository }) => {
    return (
      dockerRepository || `projects/${it.projectId}/locations/${it.region}/repositories/${SHARED}`
    );
  });
  const problems: Problem[] = [];
  for (const path of new Set(repositories)) {
    const role = "roles/artifactregistry.reader";
    const found = await it.cloud.ask({ api: "artifactregistry", path, shape: Repository, role });
    if (Object.keys(found?.cleanupPolicies ?? {}).length > 0) continue;
    const what = `${lastPart(path)} keeps every image for ever`;
    const location = path.split("/")[3] ?? "";
    if (lastPart(path) === SHARED) {
      // All functions of the project may be in it. The other tools have a repository of the receiver's own.
      const { connect } = await it.functions();
      const isFirebase = connect?.labels["deployment-tool"] === "cli-firebase";
      const command = `npx firebase functions:artifacts:setpolicy --location ${location} --days 7 --project ${it.projectId}`;
      problems.push({ what, fix: isFirebase ? command : await it.redeploy() });
      continue;
    }
    const words = ["artifacts", "repositories", "set-cleanup-policies", lastPart(path)];
    const flags = [`--location=${location}`, "--policy=infra/image-cleanup.json", "--no-dry-run"];
    problems.push({ what, fix: gcloud(it.projectId, ...words, ...flags) });
  }
  if (problems.length > 0) return { kind: "warning", problems };
  return passed("old images are deleted");
}

async function buildConfigsOf(it: Deployment) {
  const functions = Object.values(await it.functions());
  if (functions.length === 0) throw new Unchecked("no function is deployed (see functions)");
  return functions.map(({ buildConfig }) => buildConfig);
}
