import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { parse } from "@cdktf/hcl2json";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isHad } from "../support/emulator-source.ts";
import { readGoogleSchema } from "./google-schema.ts";
import {
  type Edit,
  type InfraCopy,
  type Plan,
  copyInfra,
  findTerraform,
  runTerraform,
} from "./terraform.ts";
import { type TerraformProvider, startTerraformProvider } from "./provider.ts";

const INFRA = path.resolve(import.meta.dirname, "../../infra");
const VARIABLES = { project_id: "acme-mail", region: "europe-west1" };
const DEPLOYED = {
  ...VARIABLES,
  oauth_client_id: "1234-abcd.apps.googleusercontent.com",
  secret_versions: { OAUTH_CLIENT_SECRET: "1", TOKEN_KEYS: "2" },
};
const ZIP = { source_zip: "../functions/dist/gcloud.zip" };

const terraform = findTerraform();

describe.skipIf(!isHad(terraform))("the Terraform module, for Terraform itself", () => {
  let provider: TerraformProvider;
  let copy: InfraCopy;

  beforeAll(async () => {
    // Unknown, as in a real first plan: what is to be made must not depend on it.
    provider = await startTerraformProvider(readGoogleSchema(), "unknown");
    copy = await copyInfra(provider.env);
  });
  afterAll(async () => {
    await copy?.remove();
    provider?.close();
  });

  it("is formatted", async () => {
    const { isOk, output } = await runTerraform(INFRA, ["fmt", "-check", "-recursive"]);
    expect({ isOk, output }).toEqual({ isOk: true, output: "" });
  });

  it("is valid, and so is the example", async () => {
    expect(await copy.validate()).toMatchObject({ isOk: true });
  });

  it("passes its own tests, which find a change of what it promises", async () => {
    expect(await copy.test()).toMatchObject({ isOk: true });
    const change = edit(
      "functions.tf",
      '"ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL"',
      '"ALLOW_ALL" : "ALLOW_ALL"',
    );
    const { isOk, output } = await copy.withEdit(change, () => copy.test());
    expect(isOk).toBe(false);
    expect(output).toContain("connect must not be reached around its load balancer");
  });

  const edit = (file: string, from: string, to: string): Edit => ({ file, from, to });
  it.each<[what: string, edit: Edit, refusal: RegExp]>([
    [
      "an unknown resource",
      edit("topics.tf", '"google_pubsub_topic" "changes"', '"google_pubsub_queue" "changes"'),
      /does not support resource type\s+"google_pubsub_queue"/,
    ],
    [
      "an unknown attribute",
      edit("topics.tf", "message_retention_duration", "retention"),
      /argument named "retention" is not expected/,
    ],
    [
      "an unknown block",
      edit("functions.tf", "automatic_update_policy {}", "automatic_updates {}"),
      /Blocks of type "automatic_updates" are not expected/,
    ],
    [
      "an unknown attribute of a nested block",
      edit("functions.tf", "timeout_seconds  ", "timeout  "),
      /argument named "timeout" is not expected/,
    ],
    [
      "an unknown attribute of a dynamic block",
      edit("modules/subscription/main.tf", "push_endpoint =", "endpoint ="),
      /argument named "endpoint" is not expected/,
    ],
    [
      "an unknown dynamic block",
      edit("modules/subscription/main.tf", 'dynamic "push_config"', 'dynamic "push"'),
      /Blocks of type "push" are not expected/,
    ],
    [
      "a missing attribute",
      edit("topics.tf", 'role    = "roles/pubsub.publisher"\n', ""),
      /argument "role" is required/,
    ],
    [
      "a missing attribute of a nested block",
      edit("functions.tf", 'uri         = "${each.value.service_config[0].uri}/"\n', ""),
      /argument "uri" is required/,
    ],
    [
      "a missing block",
      edit("secrets.tf", "replication {\n    auto {}\n  }", ""),
      /At least 1 "replication" blocks are required/,
    ],
    [
      "a value of another type",
      edit("topics.tf", '"604800s"', "[604800]"),
      /Incorrect attribute value type/,
    ],
    [
      "a resource that is not declared",
      edit("topics.tf", "google_pubsub_topic.gmail.id\n", "google_pubsub_topic.mail.id\n"),
      /"google_pubsub_topic" "mail" has not been declared/,
    ],
    [
      "an attribute that a resource does not have",
      edit(
        "accounts.tf",
        "topic    = google_service_account.pubsub.member",
        "topic = google_service_account.pubsub.address",
      ),
      /no argument, nested block, or exported attribute named\s+"address"/,
    ],
    [
      "a variable that is not declared",
      edit("firestore.tf", "var.firestore_location", "var.location"),
      /variable with the name "location" has not been declared/,
    ],
    [
      "a local that is not declared",
      edit("outputs.tf", "${local.public_url}/callback", "${local.url}/callback"),
      /local value with the name "url" has not been declared/,
    ],
    [
      "an output that a module does not have",
      edit("example/main.tf", "module.receiver.changes_topic", "module.receiver.topic"),
      /named\s+"topic"/,
    ],
    [
      "a variable that a module lacks",
      edit("example/main.tf", 'name                  = "new-messages"\n', ""),
      /argument "name" is required/,
    ],
  ])("is refused with %s", async (_, change, refusal) => {
    const { isOk, output } = await copy.withEdit(change, () => copy.validate());
    expect(isOk).toBe(false);
    expect(output.replace(/\s*[│╷╵]\s*/g, " ")).toMatch(refusal);
  });

  it.each(["before the secrets have versions", "deployed"])("can be planned: %s", async (when) => {
    const variables = { ...(when === "deployed" ? DEPLOYED : VARIABLES), secret_writes: {} };
    expect(await copy.plan(variables, "example")).toMatchObject({ kind: "planned" });
  });

  it("cannot be planned when resources depend on Google's responses", async () => {
    const change = edit(
      "accounts.tf",
      "for_each = local.is_deployed ? var.gmail_api_callers : []\n",
      "for_each = toset(values(google_cloudfunctions2_function.function)[*].service_config[0].uri)\n",
    );
    const plan = await copy.withEdit(change, () => copy.plan({ ...DEPLOYED, ...ZIP }));
    expect(outputOf(plan)).toContain("Invalid for_each argument");
  });

  it.each<[what: string, variables: Record<string, unknown>, told: string]>([
    ["a project number", { project_id: "123456789012" }, "Must be a project id"],
    ["a zone", { region: "europe-west1-b" }, "Must be a region"],
    ["a source that is not there", { source_zip: "nowhere.zip" }, "no such zip file"],
    ["http", { public_url: "http://mail.example.com" }, "Must be an https URL"],
    [
      "a caller that is no service account",
      { gmail_api_callers: ["ada@example.com"] },
      "Must be email addresses of service accounts",
    ],
    ["a slash at the end", { public_url: "https://mail.example.com/" }, "Must be an https URL"],
    ["a client secret alone", { secret_versions: { OAUTH_CLIENT_SECRET: "1" } }, "both needed"],
    ["a secret that is given twice", { secret_writes: { TOKEN_KEYS: 1 } }, "either in"],
    [
      "a second key ring",
      { secret_versions: {}, secret_writes: { OAUTH_CLIENT_SECRET: 1, TOKEN_KEYS: 2 } },
      "how keys are rotated",
    ],
    [
      "a secret without its value",
      { secret_versions: {}, secret_writes: { OAUTH_CLIENT_SECRET: 1, TOKEN_KEYS: 1 } },
      "needs its value in secrets",
    ],
    ["an unknown secret to store", { secret_writes: { KEY: 1 } }, "The secrets are NOTICE_SMTP"],
    [
      "the latest version",
      { secret_versions: { OAUTH_CLIENT_SECRET: "1", TOKEN_KEYS: "latest" } },
      "Must be version numbers",
    ],
    [
      "an unknown secret",
      { secret_versions: { ...DEPLOYED.secret_versions, KEY: "1" } },
      "The secrets are NOTICE_SMTP_URL, OAUTH_CLIENT_SECRET, OTEL_EXPORTER_OTLP_HEADERS, ",
    ],
    ["no OAuth client", { oauth_client_id: null }, "Must be set once"],
    ["a sender without a server", { settings: { NOTICE_FROM: "a@example.com" } }, "Mail to people"],
    ["a secret as a setting", { settings: { TOKEN_KEYS: "{}" } }, "belongs into Secret Manager"],
    [
      "the key of a collector as a setting",
      { settings: { OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=a" } },
      "belongs into Secret Manager",
    ],
    [
      "the emulator of Gmail",
      { settings: { GMAIL_EMULATOR_HOST: "127.0.0.1:1" } },
      "loopback only",
    ],
    ["a setting in small letters", { settings: { app_name: "Acme" } }, "must be in capitals"],
    ["a mail address as a channel", { notification_channels: ["a@example.com"] }, "full names"],
    [
      "a budget without an account",
      { budget: { billing_account: "mine", amount: 1 } },
      "must look like",
    ],
    [
      "half a unit",
      { budget: { billing_account: "012345-6789AB-CDEF01", amount: 0.5 } },
      "whole number",
    ],
    ["no requests", { requests_per_hour_max: 0 }, "Must be 1000 or more"],
    [
      "a Firestore database in capitals",
      { firestore_database: "Mail" },
      "Must be the id of a Firestore database",
    ],
    [
      "a Firestore location with a space",
      { firestore_location: "eur 3" },
      "Must be a Firestore location",
    ],
  ])("rejects %s as a variable", async (_, wrong, told) => {
    const plan = await copy.plan({ ...DEPLOYED, ...ZIP, ...wrong });
    expect(outputOf(plan)).toContain("Invalid value for variable");
    expect(outputOf(plan)).toContain(told);
  });
});

function outputOf(plan: Plan): string {
  return plan.kind === "refused" ? plan.output.replace(/\s*[│╷╵]?\s+/g, " ") : "planned";
}

describe("the Terraform files", () => {
  const folders = [".", "example", "modules/subscription"];

  it.each(folders)("declare nothing unused, and describe every variable: %s", async (folder) => {
    const text = readFolder(folder);
    expect(await findUnused(text)).toEqual([]);
    const { variable, output } = await parse("all.tf", text);
    for (const [block] of Object.values({ ...variable, ...output }) as [Described][]) {
      expect(block.description).toMatch(/^[A-Z].*\.$/);
    }
    for (const [block] of Object.values(variable) as [Described][])
      expect(block).toHaveProperty("type");
  });

  it.each(['variable "spare" {}', "locals {\n spare = 1\n}", 'data "google_project" "spare" {}'])(
    "are refused with an unused %s",
    async (spare) => {
      expect(await findUnused(`${readFolder(".")}\n${spare}\n`)).toHaveLength(1);
    },
  );
});

interface Described {
  description?: string;
}

function readFolder(folder: string): string {
  const files = readdirSync(path.join(INFRA, folder)).filter((file) => file.endsWith(".tf"));
  expect(files.length).toBeGreaterThan(2);
  return files.map((file) => readFileSync(path.join(INFRA, folder, file), "utf8")).join("\n");
}

/** What Terraform does not mind: variables, locals and data that nothing refers to. */
async function findUnused(text: string): Promise<string[]> {
  const { variable = {}, locals = [], data = {} } = await parse("all.tf", text);
  const declared = [
    ...Object.keys(variable).map((name) => `var.${name}`),
    ...locals.flatMap((block: object) => Object.keys(block)).map((name: string) => `local.${name}`),
    ...Object.entries<object>(data).flatMap(([type, named]) =>
      Object.keys(named).map((name) => `data.${type}.${name}`),
    ),
  ];
  // A validation refers to its own variable, which does not use it.
  const { variable: _, ...rest } = await parse("all.tf", text);
  const used = JSON.stringify(rest);
  return declared.filter((name) => !new RegExp(`\\b${name.replaceAll(".", "\\.")}\\b`).test(used));
}
