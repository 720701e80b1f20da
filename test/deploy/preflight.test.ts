import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Finding, findingOf } from "../../infra/cli/doctor/checks.ts";
import { googleCloud } from "../../infra/cli/doctor/cloud.ts";
import { endpointsOf } from "../../infra/cli/doctor/endpoints.ts";
import { PREFLIGHT_CHECKS } from "../../infra/cli/preflight/checks.ts";
import { type CloudEmulator, startCloudEmulator } from "../cloud-emulator/emulator.ts";
import { REGION, emptyProject } from "../cloud-emulator/project.ts";
import { type CloudState, resource } from "../cloud-emulator/state.ts";
import { isHad } from "../support/emulator-source.ts";
import { type Cloud, PROJECT, emptyCloud } from "./deploy-script.ts";
import { findMisuse } from "./gcloud-apis.ts";
import { findGcloudSdk, tryCommands } from "./gcloud-sdk.ts";

/** Goal: what would stop a deployment halfway is said before it begins, with what fixes it. */

let emulator: CloudEmulator;
beforeEach(async () => {
  emulator = await startCloudEmulator(emptyProject(PROJECT, "123"));
});
afterEach(() => emulator.close());

function examine(clientId = "123-abc.apps.googleusercontent.com"): Promise<Finding[]> {
  const endpoints = endpointsOf({ GOOGLE_CLOUD_EMULATOR_HOST: emulator.host });
  const cloud = googleCloud(endpoints, PROJECT, "ya29.token");
  const target = { projectId: PROJECT, region: REGION, clientId, databaseId: "gmail-push", cloud };
  return Promise.all(PREFLIGHT_CHECKS.map(({ name, run }) => findingOf(name, () => run(target))));
}

const policy = (state: CloudState, constraint: string, rule: object) =>
  state.resources.set(`v2/projects/${PROJECT}/policies/${constraint}`, { spec: { rules: [rule] } });

function letGmailIn(state: CloudState): void {
  const topic = `v1/projects/${PROJECT}/topics/gmail-notifications`;
  state.resources.set(topic, { name: topic.slice("v1/".length) });
  const members = ["serviceAccount:gmail-api-push@system.gserviceaccount.com"];
  state.policies.set(topic, { bindings: [{ role: "roles/pubsub.publisher", members }] });
}

/** One thing is wrong, one check fails, and its fix is this. */
const BROKEN: [what: string, change: (state: CloudState) => unknown, check: string, fix: string][] =
  [
    [
      "no billing account is linked",
      (state) => (resource(state, "/billingInfo")["billingEnabled"] = false),
      "billing",
      `gcloud billing projects link ${PROJECT}`,
    ],
    [
      "the person is no owner",
      (state) => state.lacking.add("resourcemanager.projects.setIamPolicy"),
      "rights",
      "--role=roles/owner",
    ],
    [
      "the region has no functions",
      (state) => (resource(state, `/locations/${REGION}`)["locationId"] = "europe-west1"),
      "region",
      "gcloud functions regions list",
    ],
    [
      "the organization lets only its own accounts in",
      (state) =>
        policy(state, "iam.allowedPolicyMemberDomains", { values: { allowedValues: ["C0abc"] } }),
      "policies/members",
      "gcloud org-policies reset iam.allowedPolicyMemberDomains",
    ],
    [
      "the organization lets nobody call a function without a right",
      (state) => {
        policy(state, "iam.allowedPolicyMemberDomains", { values: { allowedValues: ["C0abc"] } });
        policy(state, "run.managed.requireInvokerIam", { enforce: true });
        letGmailIn(state);
      },
      "policies/public",
      "gcloud org-policies reset run.managed.requireInvokerIam",
    ],
    [
      "the organization does not allow the region",
      (state) =>
        policy(state, "gcp.resourceLocations", { values: { allowedValues: ["europe-west1"] } }),
      "policies/region",
      "gcloud org-policies describe gcp.resourceLocations --effective",
    ],
    [
      "the organization allows no public function",
      (state) => policy(state, "run.allowedIngress", { values: { allowedValues: ["internal"] } }),
      "policies/ingress",
      "gcloud org-policies reset run.allowedIngress",
    ],
    [
      "the organization allows no new accounts",
      (state) => policy(state, "iam.disableServiceAccountCreation", { enforce: true }),
      "policies/accounts",
      "gcloud org-policies reset iam.disableServiceAccountCreation",
    ],
    [
      "the quota of CPUs is too small",
      (state) =>
        (resource(state, "CpuAllocPerProjectRegion")["dimensionsInfos"] = [
          { applicableLocations: [REGION], details: { value: "8000" } },
        ]),
      "cpu-quota",
      "https://console.cloud.google.com/iam-admin/quotas",
    ],
    [
      "the database is in Datastore mode",
      (state) =>
        state.resources.set(`v1/projects/${PROJECT}/databases/gmail-push`, {
          type: "DATASTORE_MODE",
        }),
      "firestore",
      "FIRESTORE_DATABASE",
    ],
  ];

describe("the checks before a deployment", () => {
  it("find nothing wrong with a new project", async () => {
    const findings = await examine();
    expect(findings.filter(({ kind }) => kind !== "ok")).toEqual([]);
    expect(findings).toHaveLength(14);
  });

  it.each(BROKEN)("say that %s", async (_, change, check, fix) => {
    change(emulator.state);
    const found = (await examine()).filter(({ kind }) => kind !== "ok");
    expect(found.map(({ kind }) => kind)).toEqual([check === "cpu-quota" ? "warning" : "failed"]);
    expect(found).toMatchObject([{ check, problems: [{ fix: expect.stringContaining(fix) }] }]);
  });

  it("say that the OAuth client is another project's", async () => {
    const failed = (await examine("9-a")).filter(({ kind }) => kind === "failed");
    expect(failed.map(({ check }) => check)).toEqual(["oauth-client"]);
  });

  it("let a project pass in which Gmail may publish already, whatever the organization's policy", async () => {
    const { state } = emulator;
    policy(state, "iam.allowedPolicyMemberDomains", { values: { allowedValues: ["C0abc"] } });
    letGmailIn(state);
    const findings = await examine();
    expect(findings.filter(({ kind }) => kind !== "ok")).toEqual([]);
    expect(findings.find(({ check }) => check === "policies/public")).toMatchObject({
      said: expect.stringMatching(/INVOKER_IAM_CHECK=false .* invoker_iam_check = false/),
    });
  });

  it("do not take what they may not see for right", async () => {
    emulator.state.denied = /billingInfo|quotaInfos|policies/;
    const unclear = (await examine()).filter(({ kind }) => kind !== "ok");
    expect(unclear.map(({ check, kind }) => [check, kind])).toEqual([
      ["billing", "unchecked"],
      ["policies/members", "unchecked"],
      ["policies/region", "unchecked"],
      ["policies/ingress", "unchecked"],
      ["policies/public", "unchecked"],
      ["policies/accounts", "unchecked"],
      ["cpu-quota", "unchecked"],
    ]);
  });

  const sdk = findGcloudSdk();
  it.skipIf(!isHad(sdk))(
    "ask what Google's APIs know, and print commands that gcloud accepts",
    async () => {
      if (sdk.kind === "missing") throw new Error(sdk.why);
      await examine();
      const asked = emulator.requests.filter(({ path }) => !path.startsWith("/v1beta1/"));
      expect(asked.length).toBeGreaterThan(10);
      expect(findMisuse(sdk, asked)).toEqual([]);
      for (const [, change] of BROKEN) change(emulator.state);
      const commands = (await examine())
        .flatMap((each) => (each.kind === "failed" ? each.problems.map(({ fix }) => fix) : []))
        .filter((fix) => fix.startsWith("gcloud "));
      expect(commands.length).toBeGreaterThan(5);
      expect(tryCommands(sdk, commands).filter(({ end }) => end !== "ok")).toEqual([]);
    },
  );
});

describe("deploy.sh", { timeout: 300_000 }, () => {
  let cloud: Cloud;
  beforeAll(async () => {
    cloud = await emptyCloud("OAUTH_CLIENT_ID=123-abc.apps.googleusercontent.com\n");
  });
  afterAll(() => cloud.close());

  it("only checks with --check, and prints every result", async () => {
    const { succeeded, output } = await cloud.deploy({ args: ["--check"] });
    expect(succeeded).toBe(true);
    expect(output).toMatch(/^ok +cpu-quota +20 CPUs in us-central1/m);
    expect((await cloud.calls()).map((call) => call.split(" ").slice(1, 3).join(" "))).toEqual([
      "projects describe",
      "auth print-access-token",
    ]);
  });

  it("checks without settings, too, as Terraform has its own", async () => {
    const bare = await emptyCloud("");
    await bare.removeSettings();
    const { succeeded, output } = await bare.deploy({ args: ["--check"] });
    await bare.close();
    expect(succeeded).toBe(true);
    expect(output).toMatch(/^could not check +oauth-client/m);
  });

  it("creates nothing in a project in which it would stop later", async () => {
    resource(cloud.state, "/billingInfo")["billingEnabled"] = false;
    const { succeeded, output } = await cloud.deploy();
    expect(succeeded).toBe(false);
    expect(output).toContain("no billing account is linked");
    expect(output).toContain(`gcloud billing projects link ${PROJECT} --billing-account=ACCOUNT`);
    expect(output).not.toContain("cpu-quota");
    expect((await cloud.calls()).join("\n")).not.toMatch(/ (create|enable) /);
  });
});
