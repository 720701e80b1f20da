import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readConfig } from "../../functions/src/config/config.ts";
import { parseKeyRing } from "../../functions/src/crypto/sealing.ts";
import exclusion from "../../infra/log-exclusion.json" with { type: "json" };
import services from "../../infra/services.json" with { type: "json" };
import { ACCESS_TOKEN, type Cloud, PROJECT, dryRun, emptyCloud } from "./deploy-script.ts";
import { isHad } from "../support/emulator-source.ts";
import { findGcloudSdk, tryCommand, tryCommands } from "./gcloud-sdk.ts";

const SETTINGS = `
# The client of this project.
OAUTH_CLIENT_ID=123-abc.apps.googleusercontent.com
APP_NAME="Ann's help desk"
`;
const ENVIRONMENT_FILE = "functions/dist/environment.yaml";

let folder: string;
let envFile: string;
let printed: ReturnType<typeof dryRun>;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "gcloud-test-"));
  envFile = path.join(folder, ".env");
  writeFileSync(envFile, SETTINGS);
  printed = dryRun(envFile);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a dry run of deploy.sh", () => {
  it("prints the same commands every time", () => {
    expect(printed).toMatchObject({ status: 0, stderr: "" });
    expect(printed.commands.length).toBeGreaterThan(100);
    expect(dryRun(envFile).stdout).toBe(printed.stdout);
  });

  it("uses the region of the option, else of the file, everywhere", () => {
    // From where the script is called, not from where it is.
    const elsewhere = path.relative(process.cwd(), path.join(folder, ".env.elsewhere"));
    writeFileSync(elsewhere, `${SETTINGS}REGION=europe-west1\n`);
    const { stdout } = dryRun(elsewhere);
    expect(stdout).toContain("--location=europe-west1");
    expect(stdout).not.toContain("us-central1");
    expect(dryRun(elsewhere, "--region", "asia-east1").stdout).not.toMatch(/europe|us-central1/);
  });

  it("enables the services that Terraform enables, in one call", () => {
    const enabling = printed.commands.filter((command) => / services enable /.test(command));
    const expected = `gcloud services enable ${services.join(" ")} --project=${PROJECT}`;
    expect(enabling).toEqual([expected]);
    // More than these Service Usage does not take at once (`services.batchEnable`).
    expect(services.length).toBeLessThanOrEqual(20);
  });

  it("keeps a week of versions of the database, and protects it", () => {
    const made = printed.commands.filter((command) => / databases create /.test(command));
    expect(made).toHaveLength(1);
    expect(made[0]).toMatch(/ --delete-protection .*--enable-pitr\b/);
  });

  it("creates Google's own accounts before what needs them", () => {
    const place = (part: string) => printed.commands.findIndex((each) => each.includes(part));
    for (const service of ["pubsub", "eventarc"]) {
      const created = place(`services identity create --service=${service}.googleapis.com`);
      expect(created).toBeGreaterThan(place(" services enable "));
      expect(created).toBeLessThan(place(" pubsub topics create "));
    }
  });

  it("waits for indexes before it deploys functions, and changes them at the same time", () => {
    const place = (part: string) => printed.commands.findIndex((each) => each.includes(part));
    expect(place(" firestore operations list ")).toBeGreaterThan(place(" indexes fields update "));
    expect(place(" firestore operations list ")).toBeLessThan(place(" functions deploy "));
    const changes = printed.commands.filter((each) => / fields (ttls )?update /.test(each));
    expect(changes.length).toBeGreaterThan(15);
    expect(changes.filter((each) => !each.includes(" --async "))).toEqual([]);
  });

  it("deletes old images, in a repository that no other function uses", () => {
    const repository = `projects/${PROJECT}/locations/us-central1/repositories/gmail-push-images`;
    const deploys = printed.commands.filter((each) => each.includes(" functions deploy "));
    expect(deploys.filter((each) => each.includes(`--docker-repository=${repository}`))).toEqual(
      deploys,
    );
    expect(printed.stdout).toContain(
      "artifacts repositories set-cleanup-policies gmail-push-images --location=us-central1 --policy=infra/image-cleanup.json --no-dry-run",
    );
    const rules = JSON.parse(readFileSync("infra/image-cleanup.json", "utf8"));
    expect(rules.map(({ action }: { action: { type: string } }) => action.type)).toEqual([
      "Delete",
      "Keep",
    ]);
  });

  it("ends with the doctor's command", () => {
    const asking = `npm run doctor -- --project ${PROJECT} --region us-central1`;
    expect(printed.stdout.trimEnd().split("\n").at(-1)).toContain(asking);
  });

  it("lets the functions use the database of the receiver, and no other", () => {
    const grants = printed.commands.filter((command) => command.includes("roles/datastore.user"));
    expect(grants).toHaveLength(6);
    const condition = `'--condition=expression=resource.name=="projects/${PROJECT}/databases/gmail-push",`;
    for (const grant of grants) expect(grant).toContain(condition);
    expect(printed.stdout).not.toContain("(default)");
  });

  it("lets the named accounts call gmailApi, and no other", () => {
    const callersIn = ({ commands }: ReturnType<typeof dryRun>) =>
      commands
        .filter((command) => command.includes("add-invoker-policy-binding gmailApi"))
        .map((command) => /--member=serviceAccount:(\S+)/.exec(command)?.[1]);
    expect(callersIn(printed)).toEqual([]);
    const accounts = ["help-desk", "audit"].map((name) => `${name}@acme.iam.gserviceaccount.com`);
    const options = accounts.flatMap((account) => ["--gmail-api-caller", account]);
    expect(callersIn(dryRun(envFile, ...options))).toEqual(accounts);
    const refused = dryRun(envFile, "--gmail-api-caller", "allUsers");
    expect(refused).toMatchObject({ status: 2, stdout: "" });
    expect(refused.stderr).toContain("needs the email address of a service account, not allUsers");
    const [deployed = ""] = printed.commands.filter((command) => / deploy gmailApi /.test(command));
    expect(deployed).toContain(" --no-allow-unauthenticated --ingress-settings=all ");
  });

  it("excludes URLs with codes or links from the request log", () => {
    const words = Object.entries(exclusion).map(([name, value]) => `${name}=${value}`);
    expect(printed.commands).toContain(
      `gcloud logging sinks update _Default '--add-exclusion=${words.join(",")}' --project=${PROJECT}`,
    );
    // As Cloud Logging reads `=~`: a regular expression (RE2) that matches anywhere.
    const pattern = new RegExp(/requestUrl=~"(.*)"$/.exec(exclusion.filter)?.[1] ?? "");
    const host = "https://connect-1.us-central1.run.app";
    for (const called of [
      "/callback?code=4/0&state=s",
      "/reauthorize/v1.link",
      "/start?ticket=ey",
    ]) {
      expect(`${host}${called}`).toMatch(pattern);
    }
    for (const called of ["/", "/start?return_to=https://app.example", "/disconnect"]) {
      expect(`${host}${called}`).not.toMatch(pattern);
    }
  });

  it("lets only Gmail publish to its topic, and gives no account a basic role", () => {
    const { commands } = printed;
    const publishers = commands.filter((command) => /binding gmail-notifications /.test(command));
    expect(publishers).toHaveLength(1);
    expect(publishers[0]).toContain("serviceAccount:gmail-api-push@system.gserviceaccount.com");
    expect(commands.filter((command) => /roles\/(editor|owner|viewer)/.test(command))).toEqual([]);
    const accounts = commands.flatMap(
      (command) => /--run-service-account=(\S+)/.exec(command)?.[1],
    );
    expect(new Set(accounts.filter(Boolean)).size).toBe(6);
  });

  it.each([
    ["OAUTH_CLIENT_ID=", "OAUTH_CLIENT_ID is not set"],
    [`${SETTINGS}PUBLIC_URL=ftp://example.com`, "PUBLIC_URL must be"],
    [`${SETTINGS}SYNC_PAGES_MAX=0`, "SYNC_PAGES_MAX must be"],
    [`${SETTINGS}REGION="x; touch pwned"`, "REGION must be a region"],
    [`${SETTINGS}OAUTH_CLIENT_SECRET=x`, "OAUTH_CLIENT_SECRET: secrets belong in Secret Manager"],
    [`${SETTINGS}GMAIL_EMULATOR_HOST=127.0.0.1:1`, "GMAIL_EMULATOR_HOST: not in the cloud"],
  ])("stops before anything when the settings are unusable: %j", (settings, problem) => {
    const file = path.join(folder, ".env.unusable");
    writeFileSync(file, settings);
    const { status, stdout, stderr } = dryRun(file);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(problem);
  });
});

it("says how to begin when a project has no settings yet", () => {
  const args = ["--project", "without-settings", "--dry-run"];
  const script = path.resolve("infra/deploy.sh");
  const { status, stderr } = spawnSync(script, args, { encoding: "utf8" });
  expect(status).toBe(2);
  expect(stderr).toContain("cp infra/.env.example infra/.env.without-settings");
});

it("finds its own folder, whatever CDPATH is", () => {
  mkdirSync(path.join(folder, "infra"));
  const { status, stderr } = spawnSync("bash", ["infra/deploy.sh", "--help"], {
    encoding: "utf8",
    env: { ...process.env, CDPATH: folder },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

it("makes no key ring without a key", () => {
  const script = "source infra/deploy/key-ring.sh; openssl() { return 1; }; new_key_ring";
  const { status, stdout } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
});

it("passes every setting through the shell unchanged", () => {
  const file = path.join(folder, ".env.quoted");
  const name = 'Ann\'s $(touch pwned) `id` "$HOME" | ; & * \\\\';
  writeFileSync(file, `${SETTINGS}\nAPP_NAME=${name}\nCHANGES_TOPIC=changes\n`);
  const script =
    'set -u; eval "$("$0" infra/deploy-settings.ts demo-proj "" "$1")"; ' +
    'printf "%s\\n" "$environment" "${#function_names[@]}" "$changes_topic" "$named_settings"';
  const { stdout, stderr } = spawnSync("bash", ["-c", script, "node_modules/.bin/tsx", file], {
    encoding: "utf8",
  });
  const [environment = "", functions, topic, named] = stdout.trimEnd().split("\n");
  expect({ functions, topic, named, stderr }).toEqual({
    functions: "6",
    topic: "changes",
    named: "APP_NAME CHANGES_TOPIC OAUTH_CLIENT_ID",
    stderr: "",
  });
  expect(JSON.parse(environment)).toMatchObject({ APP_NAME: name, CHANGES_TOPIC: "changes" });
});

it("lets only the load balancer call connect if there is one", () => {
  const file = path.join(folder, ".env.balanced");
  writeFileSync(file, `${SETTINGS}\nLOAD_BALANCERS=1\nPUBLIC_URL=https://connect.example.com\n`);
  const ingress = (of: ReturnType<typeof dryRun>) =>
    of.commands
      .filter((command) => command.includes("functions deploy"))
      .map((command) => [
        /deploy (\w+)/.exec(command)?.[1],
        /--ingress-settings=(\S+)/.exec(command)?.[1],
      ]);
  const before = Object.fromEntries(ingress(printed));
  expect(before).toMatchObject({ connect: "all", securityEvent: "all" });
  expect(Object.fromEntries(ingress(dryRun(file)))).toEqual({
    ...before,
    connect: "internal-and-gclb",
  });
});

const sdk = findGcloudSdk();

describe.skipIf(!isHad(sdk))("the commands that deploy.sh prints", { timeout: 600_000 }, () => {
  let commands: string[];

  beforeAll(() => {
    const environment = path.join(folder, "environment.yaml");
    writeFileSync(environment, JSON.stringify({ GOOGLE_CLOUD_PROJECT: PROJECT, A: "b" }));
    commands = printed.commands
      .filter((command) => command.startsWith("gcloud "))
      .map((command) => command.replace(ENVIRONMENT_FILE, environment));
  });

  function verdicts(of: string[]) {
    if (sdk.kind === "missing") throw new Error(sdk.why);
    return tryCommands(sdk, of);
  }

  it("are all accepted by gcloud, as far as the sign-in", () => {
    const refused = verdicts(commands).filter(({ end }) => end !== "ok");
    expect(refused).toEqual([]);
    expect(commands.length).toBeGreaterThan(100);
  });

  it("are accepted from the guides, too", () => {
    const text = ["deploy.md", "deploy-gcloud.md", "deploy-firebase.md", "deploy-ci.md"]
      .map((file) => readFileSync(`infra/docs/${file}`, "utf8"))
      .join("\n")
      .replaceAll("\\\n", " ");
    const blocks = (text.match(/^ *```$[^]*?^ *```$/gm) ?? []).join("\n").replaceAll(/^ +/gm, "");
    const shown = (blocks.match(/^gcloud .*$/gm) ?? []).map((command) =>
      command.replaceAll("PROJECT", PROJECT).replaceAll("REGION", "us-central1"),
    );
    expect(shown.length).toBeGreaterThan(15);
    expect(shown.join("\n")).toContain(exclusion.filter);
    expect(verdicts(shown).filter(({ end }) => end !== "ok")).toEqual([]);
  });

  it("are accepted from the documents for subscribers, too", () => {
    const documents = ["functions/docs/events.md", "test/examples/subscriber/README.md"];
    const shown = documents.flatMap((file) => {
      const text = readFileSync(file, "utf8").replaceAll("\\\n", " ");
      return (text.match(/^gcloud .*$/gm) ?? []).map(
        (command) => `${command} --project=${PROJECT}`,
      );
    });
    expect(shown).toHaveLength(4);
    expect(shown.join("\n")).toContain("--message-filter=");
    expect(verdicts(shown).filter(({ end }) => end !== "ok")).toEqual([]);
  });

  const BROKEN: [from: RegExp, to: string, complaint: RegExp][] = [
    [/(functions deploy .*) --gen2/, "$1 --generation=2", /unrecognized arguments/],
    [/--concurrency=20/, "--concurrency=many", /argument --concurrency/],
    [/(functions deploy .*)--trigger-http/, "$1--trigger-http --trigger-topic=abc", /At most one/],
    [/--ingress-settings=internal-only/, "--ingress-settings=private", /Invalid choice/],
    [/--set-secrets=\S+/, "--set-secrets=OAUTH_CLIENT_SECRET", /argument --set-secrets/],
    [/environment\.yaml/, "nothing.yaml", /Failed to load YAML/],
    [/--max-delivery-attempts=20/, "--max-delivery-attempts=1", /max-delivery-attempts/],
    [/--message-retention-duration=7d/, "--message-retention-duration=week", /retention-duration/],
    [/--enable-pitr/, "--enable-recovery", /unrecognized arguments/],
    [/--purpose=encryption/, "--purpose=wrapping", /Invalid choice/],
    [/--index=order=ASCENDING/, "--index=ordering=ASCENDING", /argument --index/],
    [/(jobs create http .*)--schedule=/, "$1--cron=", /unrecognized arguments|Must be specified/],
    [/(topics add-iam-policy-binding .*)--role=\S+/, "$1", /argument --role/],
    [/pubsub topics create/, "pubsub topic create", /Invalid choice/],
  ];

  it("would be rejected if they were wrong", () => {
    const broken = BROKEN.map(([from, to]) => {
      const command = commands.find((each) => from.test(each)) ?? "";
      expect(command, `a command to break with ${from}`).not.toBe("");
      return command.replace(from, to);
    });
    const taken = verdicts(broken).filter(({ end }, index) => !BROKEN[index]?.[2].test(end));
    expect(taken).toEqual([]);
  });

  it("have the same result in separate gcloud processes", () => {
    const good = commands.find((command) => command.includes("deploy gmailNotification")) ?? "";
    const bad = good.replace("--retry", "--retries");
    expect(tryCommand(good)).toBe("ok");
    const refusal = tryCommand(bad);
    expect(refusal).toMatch(/unrecognized arguments/);
    expect(verdicts([bad]).map(({ end }) => end)).toEqual([refusal]);
  });
});

const changes = (calls: string[]) =>
  calls.filter((call) => /^gcloud (?!beta).*( create | add |encrypt)/.test(call));

describe("deploy.sh, run to its end", { timeout: 600_000 }, () => {
  let cloud: Cloud;
  let succeeded: boolean;
  let output: string;
  let calls: string[];
  let rules: ReturnType<Cloud["rules"]>;

  beforeAll(async () => {
    cloud = await emptyCloud(SETTINGS);
    await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    ({ succeeded, output } = await cloud.deploy());
    calls = await cloud.calls();
    rules = cloud.rules();
  }, 600_000);
  afterAll(() => cloud?.close());

  it("runs what the dry run prints, and nothing else", () => {
    const listed = "gcloud secrets versions list OAUTH_CLIENT_SECRET";
    const expected = printed.commands
      .map((command) => command.replaceAll("'", ""))
      // A job that was not there is made; there is nothing to bring up to date yet.
      .filter((command) => !command.startsWith("gcloud scheduler jobs update"))
      // This secret is there, with a version, which is asked for once.
      .filter((command) => !/secrets (create|versions add) OAUTH_CLIENT_SECRET/.test(command))
      .filter((command, index, all) => !(command.startsWith(listed) && all[index - 1] === command))
      .map((command) =>
        command.startsWith("node_modules/") ? "gcloud auth print-access-token" : command,
      );
    expect(succeeded).toBe(true);
    // All functions but the first are deployed at the same time.
    const first = calls.findIndex((call) => call.includes("functions deploy "));
    const until = expected.findIndex((command) =>
      command.includes("functions deploy watchRenewal"),
    );
    expect(calls.slice(0, first + 1)).toEqual(expected.slice(0, first + 1));
    expect(calls.slice(0, until).filter((call) => call.includes("functions deploy "))).toHaveLength(
      1,
    );
    expect(calls.toSorted()).toEqual(expected.toSorted());
    expect(output).toContain(
      "Redirect URI of the OAuth client: https://connect-PROJECT_NUMBER.us-central1.run.app/callback",
    );
  });

  it("gives the functions a valid configuration", async () => {
    const wrapped = await cloud.secret("TOKEN_KEYS");
    const config = readConfig({
      ...(await cloud.environment()),
      TOKEN_KEYS: wrapped,
      OAUTH_CLIENT_SECRET: await cloud.secret("OAUTH_CLIENT_SECRET"),
      RETURN_TO_SECRET: await cloud.secret("RETURN_TO_SECRET"),
      NOTICE_SMTP_URL: await cloud.secret("NOTICE_SMTP_URL"),
      OTEL_EXPORTER_OTLP_HEADERS: await cloud.secret("OTEL_EXPORTER_OTLP_HEADERS"),
    });
    const ring = "projects/demo-proj/locations/us-central1/keyRings/gmail-push-receiver";
    expect(config).toMatchObject({
      projectId: PROJECT,
      publicUrl: "https://connect-project_number.us-central1.run.app",
      firestore: { databaseId: "gmail-push" },
      oauth: {
        clientId: "123-abc.apps.googleusercontent.com",
        clientSecret: "GOCSPX-client-secret",
      },
      app: { name: "Ann's help desk" },
      sealing: { kmsKey: `${ring}/cryptoKeys/token-keys` },
      returnTo: { secret: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(config).not.toHaveProperty("notices");
    const [marker, json = ""] = Buffer.from(wrapped, "base64").toString().split(/:(.*)/s);
    expect(marker).toBe("wrapped");
    expect(parseKeyRing(json)).toMatchObject({ ok: true });
  });

  it("puts no secret on a command line, into the settings or into its output", async () => {
    const wrapped = await cloud.secret("TOKEN_KEYS");
    const ring = Buffer.from(wrapped, "base64").toString();
    const secrets = [
      ACCESS_TOKEN,
      "GOCSPX-client-secret",
      wrapped,
      await cloud.secret("RETURN_TO_SECRET"),
      ...[...ring.matchAll(/[\w+/]{43}=/g)].map(([text]) => text),
    ];
    expect(secrets).toHaveLength(5);
    const settings = JSON.stringify(await cloud.environment());
    for (const secret of secrets) {
      for (const place of [calls.join("\n"), output, settings, await cloud.processes()]) {
        expect(place).not.toContain(secret);
      }
    }
  });

  it("publishes the rules that deny every client", () => {
    expect(rules.content).toBe(readFileSync("infra/firestore.rules", "utf8"));
    const releases = `/v1/projects/${PROJECT}/releases`;
    expect(rules.requests).toEqual([
      `GET ${releases}/cloud.firestore/gmail-push`,
      `POST /v1/projects/${PROJECT}/databases/gmail-push/documents:listCollectionIds`,
      `POST /v1/projects/${PROJECT}/rulesets`,
      `POST ${releases}`,
    ]);
  });

  it("changes nothing that exists when it is run again", async () => {
    expect(changes(calls).length).toBeGreaterThan(20);
    const keys = await cloud.secret("TOKEN_KEYS");
    const again = await cloud.deploy();
    expect(again).toMatchObject({ succeeded: true });
    const callsAgain = await cloud.calls();
    expect(changes(callsAgain)).toEqual([]);
    expect(callsAgain.filter((call) => / fields (ttls )?update /.test(call))).toEqual([]);
    expect(callsAgain.filter((call) => call.includes("jobs update http"))).toHaveLength(2);
    const excluding = callsAgain.filter((call) => call.includes("logging sinks update"));
    expect(excluding).toEqual([
      expect.stringContaining("--update-exclusion=name=gmail-push-links,"),
    ]);
    expect(await cloud.secret("TOKEN_KEYS")).toBe(keys);
    expect(again.output).toContain("firestore.rules: published already");
    expect(cloud.rules().requests.filter((request) => !request.startsWith("GET "))).toEqual([]);
  });
});

describe("deploy.sh, in an organization with secure defaults", { timeout: 300_000 }, () => {
  const PERMITTED =
    "ERROR: (gcloud) FAILED_PRECONDITION: One or more users named in the policy do not belong to a permitted customer,  perhaps due to an organization policy.";
  const AGENT =
    "ERROR: (gcloud.functions.deploy) Permission denied while using the Eventarc Service Agent. If you recently started to use Eventarc, it may take a few minutes before all necessary permissions are propagated to the Service Agent.";

  it("stops where Gmail is not let in, then opens the pages without a right of everybody", async () => {
    const cloud = await emptyCloud(SETTINGS);
    await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    await cloud.refuse("--member=serviceAccount:gmail-api-push", PERMITTED);
    await cloud.refuse("--member=allUsers", PERMITTED);
    await cloud.refuse("functions deploy gmailNotification", AGENT, 2);
    const first = await cloud.deploy();
    expect(first.succeeded).toBe(false);
    const reset = "gcloud org-policies reset iam.allowedPolicyMemberDomains --project=demo-proj";
    expect(first.output).toContain(reset);

    await cloud.allow();
    await cloud.refuse("--member=allUsers", PERMITTED);
    await cloud.refuse("functions deploy gmailNotification", AGENT, 2);
    await cloud.calls();
    const second = await cloud.deploy();
    expect(second).toMatchObject({ succeeded: true });
    const calls = await cloud.calls();
    const update = "--region=us-central1 --no-invoker-iam-check --project=demo-proj";
    expect(calls.filter((call) => call.includes("invoker-iam-check")).toSorted()).toEqual([
      `gcloud run services update connect ${update}`,
      `gcloud run services update securityevent ${update}`,
    ]);
    expect(calls.filter((call) => call.includes("deploy gmailNotification"))).toHaveLength(3);
    await cloud.close();
  });

  // As Google and gcloud put it.
  it.each<[said: string, isMissing: boolean]>([
    ["ResponseError: status=[404], code=[Ok], message=[Resource 'projects/p/...' was gone]", true],
    ["ERROR: (gcloud.iam.service-accounts.describe) NOT_FOUND: Unknown service account", true],
    ["Policy binding with the specified principal, role, and condition not found!", true],
    ["Project 'p' or database 'gmail-push' does not exist.", true],
    ["PERMISSION_DENIED: Permission denied on resource (or it may not exist).", false],
    ["There was a problem refreshing your current auth tokens: Unable to reach the server", false],
    ["gcloud crashed (ConnectionError): Max retries exceeded", false],
    ["UNAVAILABLE: The service is currently unavailable.", false],
  ])("takes only an answer for a no: %s", (said, isMissing) => {
    const script = 'source infra/deploy/advice.sh; is_missing "$0"';
    const { status, stderr } = spawnSync("bash", ["-c", script, said], { encoding: "utf8" });
    expect({ stderr, isMissing: status === 0 }).toEqual({ stderr: "", isMissing });
  });

  // As Google and gcloud put it.
  it.each([
    [
      "Quota violated: CpuAllocPerProjectRegion requested: 100000 allowed: 20000",
      "lower maxInstances",
    ],
    [PERMITTED, "gcloud org-policies reset iam.allowedPolicyMemberDomains"],
    [AGENT, "wait, and run it again"],
    [
      "INVALID_ARGUMENT: Service account connect@demo-proj.iam.gserviceaccount.com does not exist.",
      "wait, and run it again",
    ],
    [
      "PERMISSION_DENIED: Cloud Run Admin API has not been used in project 1 before or it is disabled.",
      "wait, and run it again",
    ],
    [
      "FAILED_PRECONDITION: Billing account for project '1' is not found. Billing must be enabled",
      "gcloud billing projects link demo-proj",
    ],
    [
      "'us-central1' violates constraint 'constraints/gcp.resourceLocations'",
      "Choose another one with\n--region",
    ],
    [
      "Operation denied by org policy: constraints/iam.disableServiceAccountCreation",
      "gcloud org-policies reset iam.disableServiceAccountCreation",
    ],
    [
      "Caller is missing permission 'iam.serviceaccounts.actAs' on service account",
      "--role=roles/iam.serviceAccountUser",
    ],
    [
      "Constraint constraints/run.managed.requireInvokerIam violated",
      "gcloud org-policies reset run.managed.requireInvokerIam",
    ],
    ["ABORTED: unable to queue the operation", "Another deployment is under way"],
    ["Build failed with status: FAILURE.", "gcloud builds list"],
    ["The database gmail-push is not the receiver's own: it has rules", "--leave-firestore"],
    ["PERMISSION_DENIED: The caller does not have permission", "--role=roles/owner"],
    ["Reauthentication failed. cannot prompt during non-interactive execution.", "auth login"],
  ])("gives advice by what Google says: %s", (said, advice) => {
    const script =
      'source infra/deploy/advice.sh; project=demo-proj region=us-central1; advice "$0"';
    const { stdout, stderr } = spawnSync("bash", ["-c", script, said], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout).toContain(advice);
  });
});

describe("deploy.sh, with a collector of traces", { timeout: 600_000 }, () => {
  it("asks for the key of the collector, and stores it as a secret", async () => {
    const endpoint = "https://otlp.example.com";
    const cloud = await emptyCloud(`${SETTINGS}OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint}\n`);
    await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    const unasked = await cloud.deploy();
    expect(unasked.succeeded).toBe(false);
    expect(unasked.output).toContain("The secret OTEL_EXPORTER_OTLP_HEADERS has no version");

    const typing = { after: "OTEL_EXPORTER_OTLP_HEADERS: ", text: "x-api-key=by-hand\n" };
    const { succeeded, output } = await cloud.deploy({ typing });
    expect(succeeded).toBe(true);
    expect(await cloud.secret("OTEL_EXPORTER_OTLP_HEADERS")).toBe("x-api-key=by-hand");
    const environment = await cloud.environment();
    expect(environment).toMatchObject({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    expect(environment).not.toHaveProperty("OTEL_EXPORTER_OTLP_HEADERS");
    expect(`${output}${(await cloud.calls()).join()}`).not.toContain("by-hand");
    await cloud.close();
  });
});

describe("deploy.sh, when something is rejected or missing", { timeout: 600_000 }, () => {
  /** As a shell, and whatever else reads it on its way, could take it for something else. */
  const AWKWARD = `GOCSPX-"by'hand"$HOME\\n%s*&;|`;

  it("goes on after it was killed anywhere, makes nothing twice, and keeps the first keys", async () => {
    const cloud = await emptyCloud(SETTINGS);
    await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    let keys: string | undefined;
    for (const done of [
      "databases create",
      "secrets create TOKEN_KEYS",
      "versions add TOKEN_KEYS",
      "functions deploy gmailNotification",
    ]) {
      await cloud.killAfter(done);
      const { succeeded, output } = await cloud.deploy();
      expect({ succeeded, isStopped: output.includes("stopped at") }).toEqual({
        succeeded: false,
        isStopped: false,
      });
      keys ??= await cloud.secret("TOKEN_KEYS").catch(() => undefined);
    }
    expect(await cloud.deploy()).toMatchObject({ succeeded: true });
    expect(keys).toMatch(/^[\w+/=]{40,}$/);
    expect(await cloud.secret("TOKEN_KEYS")).toBe(keys);
    const made = changes(await cloud.calls());
    expect(made.filter((call, index) => made.indexOf(call) !== index)).toEqual([]);
    await cloud.close();
  });

  it("stops there, says what to do, and continues from there when it is run again", async () => {
    const cloud = await emptyCloud(SETTINGS);
    const stopped: string[] = [];
    const run = async (options?: Parameters<Cloud["deploy"]>[0]) => {
      const { succeeded, output } = await cloud.deploy(options);
      stopped.push(/stopped at: (.*)/.exec(output)?.[1] ?? "");
      expect(succeeded).toBe(stopped.at(-1) === "");
      expect(output.includes("Redirect URI")).toBe(succeeded);
      return output;
    };
    await cloud.refuse("auth print-access-token");
    await run();

    await cloud.allow();
    const unasked = await run();
    expect(unasked).toContain("The secret OAUTH_CLIENT_SECRET has no version");
    await expect(cloud.secret("OAUTH_CLIENT_SECRET")).rejects.toThrow("ENOENT");

    await cloud.refuse("kms encrypt");
    const typed = await run({
      typing: { after: "OAUTH_CLIENT_SECRET: ", text: `${AWKWARD}\n` },
    });
    expect(`${typed}${await cloud.processes()}`).not.toContain("GOCSPX");
    expect(await cloud.secret("OAUTH_CLIENT_SECRET")).toBe(AWKWARD);
    await expect(cloud.secret("TOKEN_KEYS")).rejects.toThrow("ENOENT");

    await cloud.allow();
    await cloud.refuse("functions deploy connect");
    const refused = await run();
    expect(refused).toContain("It was: gcloud functions deploy connect --gen2");
    expect((await cloud.calls()).join("\n")).not.toContain("scheduler jobs");

    await cloud.allow();
    await run();
    expect(stopped).toEqual(["Checks", "Secrets", "Secrets", "Functions", ""]);
    await cloud.close();
  });
});

describe(
  "deploy.sh, in a project that is shared with another application",
  { timeout: 600_000 },
  () => {
    let cloud: Cloud;
    beforeEach(async () => {
      cloud = await emptyCloud(SETTINGS);
      await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    });
    afterEach(() => cloud.close());

    // What the Firebase console publishes for a new database: our rules, but for the comment.
    const LOCKED = readFileSync("infra/firestore.rules", "utf8").replaceAll(/^\/\/.*\n/gm, "");

    it.each<[string, { rules?: string; collections?: string[] }]>([
      ["rules of their own", { rules: "allow read: if request.auth != null;" }],
      ["Firebase's locked rules", { rules: LOCKED }],
      ["documents and no rules", { collections: ["orders"] }],
    ])("changes neither the rules nor the indexes of a database with %s", async (_, theirs) => {
      cloud.giveDatabase(theirs);
      const { succeeded, output } = await cloud.deploy();
      expect(succeeded).toBe(false);
      expect(output).toContain("The database gmail-push is not the receiver's own");
      expect(output).toContain("Name another database in FIRESTORE_DATABASE");
      expect(output).toContain("run it again with --leave-firestore");
      expect((await cloud.calls()).filter((call) => / fields /.test(call))).toEqual([]);
      expect(cloud.rules().content).toBe(theirs.rules);

      const left = await cloud.deploy({ args: ["--leave-firestore"] });
      expect(left.succeeded).toBe(true);
      expect((await cloud.calls()).filter((call) => / fields /.test(call))).toEqual([]);
      expect(cloud.rules()).toEqual({ content: theirs.rules, requests: [] });
    });

    it("replaces no function that it cannot see, and makes no second receiver elsewhere", async () => {
      await cloud.giveConnect({ GREETING: "hello" });
      await cloud.refuse("describe connect", "ERROR: (gcloud) There was a problem: timed out");
      const unseen = await cloud.deploy();
      await cloud.allow();
      await cloud.giveReceiverIn("europe-west1");
      const elsewhere = await cloud.deploy();
      expect([unseen, elsewhere]).toMatchObject([{ succeeded: false }, { succeeded: false }]);
      expect(elsewhere.output).toContain("runs in europe-west1, not in us-central1");
      expect((await cloud.calls()).filter((call) => / (create|deploy) /.test(call))).toEqual([]);
    });

    it("replaces no function named connect that is not the receiver's", async () => {
      await cloud.giveConnect({ GREETING: "hello" });
      const { succeeded, output } = await cloud.deploy();
      expect(succeeded).toBe(false);
      expect(output).toContain(
        "a function named connect in us-central1 that is not this receiver's",
      );
      expect((await cloud.calls()).filter((call) => / (create|deploy) /.test(call))).toEqual([]);
    });
  },
);

describe("deploy.sh, for a receiver of an older version", { timeout: 600_000 }, () => {
  const OLD_URL = `https://us-central1-${PROJECT}.cloudfunctions.net/connect`;
  const KEPT = `PUBLIC_URL=${OLD_URL}\nFIRESTORE_DATABASE=(default)\n`;
  let cloud: Cloud;
  beforeEach(async () => {
    cloud = await emptyCloud(SETTINGS);
    await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    await cloud.giveConnect({ GMAIL_TOPIC: "projects/p/topics/t", PUBLIC_URL: OLD_URL });
  });
  afterEach(() => cloud.close());

  it("changes nothing until the settings name the URL and the database", async () => {
    const first = await cloud.deploy();
    expect(first.succeeded).toBe(false);
    expect(first.output).toContain(`PUBLIC_URL=${OLD_URL}, which the settings do not name`);
    const next = "https://connect-PROJECT_NUMBER.us-central1.run.app";
    expect(first.output).toContain(`first add ${next}/callback to the redirect URIs`);

    await cloud.set(`${SETTINGS}PUBLIC_URL=${OLD_URL}\n`);
    const second = await cloud.deploy();
    expect(second.succeeded).toBe(false);
    expect(second.output).toContain(
      "add this line to\ninfra/.env.demo-proj: FIRESTORE_DATABASE=(default)",
    );
    expect((await cloud.calls()).filter((call) => / (create|deploy) /.test(call))).toEqual([]);
  });

  it("keeps the existing URL and database, with less access, once they are named", async () => {
    await cloud.set(`${SETTINGS}${KEPT}`);
    cloud.giveDatabase({
      rules: readFileSync("infra/firestore.rules", "utf8"),
      collections: ["users"],
    });
    const { succeeded } = await cloud.deploy();
    expect(succeeded).toBe(true);
    expect(await cloud.environment()).toMatchObject({
      PUBLIC_URL: OLD_URL,
      FIRESTORE_DATABASE: "(default)",
    });
    const calls = (await cloud.calls()).filter((call) => call.includes("roles/datastore.user"));
    const member = `--member=serviceAccount:connect@${PROJECT}.iam.gserviceaccount.com`;
    expect(calls.filter((call) => call.includes(member))).toEqual([
      expect.stringMatching(/add-iam-policy-binding .*databases\/\(default\)",title=/),
      expect.stringMatching(/remove-iam-policy-binding .* --condition=None/),
    ]);
    expect(cloud.rules().requests).toContain(
      `GET /v1/projects/${PROJECT}/releases/cloud.firestore`,
    );
  });
});
