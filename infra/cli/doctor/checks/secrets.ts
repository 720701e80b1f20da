import { z } from "zod";
import type { FunctionName } from "../../functions.ts";
import type { CloudFunction, Deployment } from "../deployment.ts";
import { type Problem, type Verdict, Unchecked, gcloud, passed } from "../verdict.ts";
import { readPolicy, withoutRight } from "../iam.ts";

/** Secret Manager v1, `projects.secrets.versions`. */
const Version = z.object({ name: z.string(), state: z.string() });
const VIEWER = "roles/secretmanager.viewer";

/**
 * Checks that each secret version that a function uses exists, and that the function may read it.
 */
export async function secrets(it: Deployment): Promise<Verdict> {
  const used = usedSecrets(await it.functions());
  if (used.length === 0) throw new Unchecked("no function is deployed (see functions)");
  const problems = await Promise.all(used.map((each) => describe(it, each)));
  const all = problems.flat();
  if (all.length > 0) return { kind: "failed", problems: all };
  return passed([...new Set(used.map(({ secret, version }) => `${secret} ${version}`))].join(", "));
}

/**
 * Warns of a newer secret version that no function uses, because it was added without a deployment.
 */
export async function newestSecrets(it: Deployment): Promise<Verdict> {
  const problems: Problem[] = [];
  for (const { secret, version, owner } of usedSecrets(await it.functions())) {
    const path = `projects/${owner}/secrets/${secret}/versions`;
    const question = { api: "secretmanager", path, role: VIEWER } as const;
    const versions = (await it.cloud.askAll(question, "versions", Version)) ?? [];
    const numbers = versions
      .filter(({ state }) => state === "ENABLED")
      .map(({ name }) => Number(name.slice(name.lastIndexOf("/") + 1)));
    const newest = Math.max(...numbers);
    if (numbers.length > 0 && newest > Number(version)) {
      const what = `${secret} has version ${newest}, and the functions hold ${version}`;
      problems.push({ what, fix: await it.redeploy() });
    }
  }
  return problems.length > 0
    ? { kind: "warning", problems }
    : passed("the functions hold the newest");
}

interface UsedSecret {
  secret: string;
  version: string;
  owner: string;
  accounts: string[];
}

function usedSecrets(functions: Partial<Record<FunctionName, CloudFunction>>): UsedSecret[] {
  const used = new Map<string, UsedSecret>();
  for (const { serviceConfig } of Object.values(functions)) {
    for (const { secret, version, projectId } of serviceConfig.secretEnvironmentVariables) {
      const key = `${projectId}/${secret}/${version}`;
      const known = used.get(key) ?? { secret, version, owner: projectId, accounts: [] };
      known.accounts.push(serviceConfig.serviceAccountEmail);
      used.set(key, known);
    }
  }
  return [...used.values()];
}

async function describe(
  it: Deployment,
  { secret, version, owner, accounts }: UsedSecret,
): Promise<Problem[]> {
  const path = `projects/${owner}/secrets/${secret}`;
  const question = { api: "secretmanager", shape: Version, role: VIEWER } as const;
  const found = await it.cloud.ask({ ...question, path: `${path}/versions/${version}` });
  if (found === undefined) {
    return [
      {
        what: `${secret} has no version ${version}`,
        fix: gcloud(owner, "secrets", "versions", "add", secret, "--data-file=-"),
      },
    ];
  }
  if (found.state !== "ENABLED") {
    const verb =
      found.state === "DISABLED"
        ? ["enable", version, `--secret=${secret}`]
        : ["add", secret, "--data-file=-"];
    const fix = gcloud(owner, "secrets", "versions", ...verb);
    return [{ what: `version ${version} of ${secret} is ${found.state}`, fix }];
  }
  const own = await readPolicy(it.cloud, "secretmanager", path, VIEWER);
  const lacking = await withoutRight("readSecret", accounts, own, it.projectPolicy);
  return lacking.map((account) => ({
    what: `${account} may not read ${secret}`,
    fix: gcloud(
      owner,
      "secrets",
      "add-iam-policy-binding",
      secret,
      `--member=serviceAccount:${account}`,
      "--role=roles/secretmanager.secretAccessor",
    ),
  }));
}
