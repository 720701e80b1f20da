import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfig } from "../../functions/src/config/config.ts";
import { LOG_EVENTS, type LogEvent } from "../../functions/src/platform/log-events.ts";
import { ALERT_CONDITIONS } from "../../infra/cli/costs/prices.ts";
import exclusion from "../../infra/log-exclusion.json" with { type: "json" };
import services from "../../infra/services.json" with { type: "json" };
import { anchorOf, anchorsOf } from "../deploy/anchors.ts";
import { isHad } from "../support/emulator-source.ts";
import { readGoogleSchema } from "./google-schema.ts";
import { SETTINGS, functionsOf, one } from "./planned.ts";
import { findEvents } from "./planned-events.ts";
import { findLeaks } from "./planned-rights.ts";
import { findLossySubscriptions } from "./planned-subscriptions.ts";
import {
  type Edit,
  type InfraCopy,
  type PlannedResource,
  copyInfra,
  findTerraform,
} from "./terraform.ts";
import { type TerraformProvider, startTerraformProvider } from "./provider.ts";

const DEPLOYED = {
  project_id: "acme-mail",
  region: "europe-west1",
  source_zip: "../functions/dist/gcloud.zip",
  oauth_client_id: "1234-abcd.apps.googleusercontent.com",
  secret_versions: {
    OAUTH_CLIENT_SECRET: "1",
    TOKEN_KEYS: "2",
    RETURN_TO_SECRET: "1",
    NOTICE_SMTP_URL: "3",
    OTEL_EXPORTER_OTLP_HEADERS: "1",
  },
  settings: {
    NOTICE_FROM: "Acme <mail@example.com>",
    GMAIL_SCOPES: "gmail.readonly",
    OTEL_EXPORTER_OTLP_ENDPOINT: "https://otlp.example.com",
  },
  notification_channels: ["projects/acme-mail/notificationChannels/1"],
  budget: { billing_account: "012345-6789AB-CDEF01", amount: 50 },
};

const STORAGE = readFileSync("functions/docs/storage.md", "utf8");

/** What the secrets hold, as far as the configuration looks at it. */
const SECRETS: Record<string, string> = {
  OAUTH_CLIENT_SECRET: "secret",
  TOKEN_KEYS: "CiQAY2lwaGVydGV4dA==",
  RETURN_TO_SECRET: "0123456789abcdef0123456789abcdef",
  NOTICE_SMTP_URL: "smtps://user:pass@smtp.example.com",
  OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=secret",
};

const terraform = findTerraform();

describe.skipIf(!isHad(terraform))("what Terraform creates", () => {
  let provider: TerraformProvider;
  let copy: InfraCopy;
  let resources: PlannedResource[];

  beforeAll(async () => {
    provider = await startTerraformProvider(readGoogleSchema(), "known");
    copy = await copyInfra(provider.env);
    resources = await planned(DEPLOYED);
  });
  afterAll(async () => {
    await copy?.remove();
    provider?.close();
  });

  async function planned(variables: Record<string, unknown>): Promise<PlannedResource[]> {
    const plan = await copy.plan(variables);
    if (plan.kind === "refused") throw new Error(plan.output);
    return plan.resources;
  }

  it("is everything but the functions and their callers, until the secrets have versions", async () => {
    const { secret_versions: _, settings: __, ...rest } = DEPLOYED;
    const before = await planned(rest);
    const later = new Set(before.map(({ type }) => type));
    const types = new Set(resources.map(({ type }) => type));
    expect([...types].filter((type) => !later.has(type)).sort()).toEqual([
      "google_cloud_run_v2_service_iam_member",
      "google_cloud_scheduler_job",
      "google_cloudfunctions2_function",
      "google_pubsub_subscription",
      "google_pubsub_subscription_iam_member",
    ]);
  });

  it("is the six functions, each with a valid configuration", () => {
    const functions = functionsOf(resources);
    expect(functions.map(({ name }) => name).sort()).toEqual(Object.keys(SETTINGS).sort());
    for (const { name, environment, secrets } of functions) {
      const env = Object.fromEntries(secrets.map((secret) => [secret, SECRETS[secret]]));
      const config = readConfig({ ...environment, ...env, FUNCTION_TARGET: name });
      expect(config).toMatchObject({
        firestore: { databaseId: "gmail-push" },
        publicUrl: "https://connect-123456789012.europe-west1.run.app",
        gmail: { topic: "projects/acme-mail/topics/gmail-notifications" },
        changes: { topic: "projects/acme-mail/topics/mailbox-changes" },
        sealing: { kmsKey: expect.stringMatching(/\/cryptoKeys\/token-keys$/) },
        notices: { from: "Acme <mail@example.com>" },
        telemetry: { headers: { "x-api-key": "secret" } },
      });
      expect(config.returnTo.secret !== undefined).toBe(name === "connect");
      expect(environment["NODE_ENV"]).toBe("production");
      const heap = (SETTINGS[name]?.memoryMiB ?? 0) / 2;
      expect(environment["NODE_OPTIONS"]).toBe(`--max-old-space-size=${heap}`);
    }
  });

  it("enables the services that deploy.sh enables, and the one that a budget needs", () => {
    const enabled = resources.filter(({ type }) => type === "google_project_service");
    expect(enabled.map(({ values }) => values["service"]).sort()).toEqual(
      [...services, "billingbudgets.googleapis.com"].sort(),
    );
    // Terraform itself calls these two.
    expect(services).toContain("cloudresourcemanager.googleapis.com");
    expect(services).toContain("serviceusage.googleapis.com");
  });

  it("keeps a week of versions of the database, and protects it", () => {
    expect(one(resources, "google_firestore_database", "receiver")).toMatchObject({
      name: "gmail-push",
      point_in_time_recovery_enablement: "POINT_IN_TIME_RECOVERY_ENABLED",
      delete_protection_state: "DELETE_PROTECTION_ENABLED",
    });
  });

  it("publishes rules for that database, and sets no field of another one", () => {
    expect(one(resources, "google_firebaserules_release", "firestore")).toMatchObject({
      name: "cloud.firestore/gmail-push",
    });
    const fields = resources.filter(({ type }) => type === "google_firestore_field");
    expect(new Set(fields.map(({ values }) => values["database"]))).toEqual(
      new Set(["gmail-push"]),
    );
  });

  it("exempts every field from indexes that is not queried, one by one", () => {
    const fields = resources.filter(({ type }) => type === "google_firestore_field");
    expect(fields.filter(({ values }) => values["field"] === "*")).toEqual([]);
    const configured = fields
      .filter(({ values }) => values["collection"] === "users")
      .map(({ values }) => String(values["field"]).replace(/\..*/, ""));
    // What a user document has at its top, by the document that describes it.
    const [, users = ""] = /^## `users[^]*?$([^]*?)^## /m.exec(STORAGE) ?? [];
    const top = users.replaceAll(/^### .*$[^]*?(?=^###|(?![^]))/gm, "");
    const maps = [...users.matchAll(/^### `(\w+)`/gm)].map(([, name]) => name);
    const described = [...top.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, names = ""]) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );
    expect(described.length).toBeGreaterThan(8);
    expect([...new Set(configured)].toSorted()).toEqual([...described, ...maps].toSorted());
  });

  it("creates Pub/Sub's own account before a subscription gives it rights", () => {
    expect(one(resources, "google_project_service_identity", "pubsub")).toMatchObject({
      service: "pubsub.googleapis.com",
    });
    const text = readFileSync("infra/topics.tf", "utf8");
    expect(text).toMatch(/depends_on = \[.*google_project_service_identity\.pubsub\]/);
  });

  it("keeps three images of each function, in a repository of its own", () => {
    const repository = one(resources, "google_artifact_registry_repository", "images");
    expect(repository["cleanup_policies"]).toMatchObject([
      { action: "DELETE", condition: [{ older_than: "604800s" }] },
      { action: "KEEP", most_recent_versions: [{ keep_count: 3 }] },
    ]);
    const used = resources
      .filter(({ type }) => type === "google_cloudfunctions2_function")
      .map(({ values }) => {
        const [config] = values["build_config"] as { docker_repository: string }[];
        return config?.docker_repository;
      });
    expect(new Set(used)).toEqual(
      new Set(["projects/acme-mail/locations/europe-west1/repositories/gmail-push-images"]),
    );
  });

  it("puts a load balancer in front of domains, and lets no request reach connect around it", async () => {
    const domains = { connect: "connect.example.com", security_events: "events.example.com" };
    const balanced = await planned({ ...DEPLOYED, domains });
    expect(one(balanced, "google_compute_url_map", "gmail-push")).toMatchObject({
      host_rule: [{ hosts: [domains.connect] }, { hosts: [domains.security_events] }],
    });
    expect(one(balanced, "google_compute_global_forwarding_rule", "gmail-push")).toMatchObject({
      port_range: "443",
    });
    const functions = balanced.filter(({ type }) => type === "google_cloudfunctions2_function");
    const ingress = functions.map(({ key, values }) => {
      const [config] = values["service_config"] as Record<string, unknown>[];
      const env = config?.["environment_variables"] as Record<string, string>;
      expect(env).toMatchObject({
        PUBLIC_URL: `https://${domains.connect}`,
        LOAD_BALANCERS: "1",
      });
      return [key, config?.["ingress_settings"]];
    });
    expect(Object.fromEntries(ingress)).toMatchObject({
      connect: "ALLOW_INTERNAL_AND_GCLB",
      securityEvent: "ALLOW_ALL",
    });
    expect(resources.filter(({ type }) => type.startsWith("google_compute_"))).toEqual([]);
  });

  it("uses the default database if configured", async () => {
    const kept = await planned({ ...DEPLOYED, firestore_database: "(default)" });
    expect(one(kept, "google_firestore_database", "receiver")).toMatchObject({ name: "(default)" });
    expect(one(kept, "google_firebaserules_release", "firestore")).toMatchObject({
      name: "cloud.firestore",
    });
    for (const { environment } of functionsOf(kept)) {
      expect(environment["FIRESTORE_DATABASE"]).toBe("(default)");
    }
  });

  it("excludes URLs with codes and links from the request log", () => {
    expect(one(resources, "google_logging_project_exclusion", "links")).toMatchObject(exclusion);
  });

  it("contains no secret", () => {
    expect(resources.filter(({ type }) => type.endsWith("secret_version"))).toEqual([]);
  });

  it("lets only the load balancer call connect if there is one", async () => {
    const settings = { ...DEPLOYED.settings, LOAD_BALANCERS: "1" };
    const balanced = await planned({ ...DEPLOYED, settings });
    const ingress = (of: PlannedResource[]) =>
      of
        .filter(({ type }) => type === "google_cloudfunctions2_function")
        .map(({ key, values }) => [key, JSON.stringify(values).match(/ALLOW_\w+/)?.[0]]);
    const before = Object.fromEntries(ingress(resources));
    expect(before).toMatchObject({
      connect: "ALLOW_ALL",
      gmailNotification: "ALLOW_INTERNAL_ONLY",
    });
    expect(Object.fromEntries(ingress(balanced))).toEqual({
      ...before,
      connect: "ALLOW_INTERNAL_AND_GCLB",
    });
  });

  it("lets only the named accounts call gmailApi", async () => {
    const callersOf = (of: PlannedResource[]) =>
      of
        .filter(({ type }) => type === "google_cloud_run_v2_service_iam_member")
        .filter(({ values }) => values["name"] === "gmail-api")
        .map(({ values }) => [values["role"], values["member"]]);
    expect(callersOf(resources)).toEqual([]);
    const account = "help-desk@acme-mail.iam.gserviceaccount.com";
    const open = await planned({ ...DEPLOYED, gmail_api_callers: [account] });
    expect(callersOf(open)).toEqual([["roles/run.invoker", `serviceAccount:${account}`]]);
    const refused = await copy.plan({ ...DEPLOYED, gmail_api_callers: ["allUsers"] });
    expect(refused).toMatchObject({
      kind: "refused",
      output: expect.stringContaining("email addresses of service accounts"),
    });
  });

  it("gives no account more than it needs", () => {
    expect(findLeaks(resources)).toEqual([]);
  });

  it("pushes notifications with retries, kept dead letters and no expiry", () => {
    expect(findLossySubscriptions(resources)).toEqual([]);
    const uri = "https://gmail-notification-abcdefghij-ew.a.run.app";
    expect(one(resources, "google_pubsub_subscription", "this")).toMatchObject({
      topic: "projects/acme-mail/topics/gmail-notifications",
      push_config: [
        {
          push_endpoint: uri,
          oidc_token: [
            {
              audience: uri,
              service_account_email: "notification-push@acme-mail.iam.gserviceaccount.com",
            },
          ],
        },
      ],
    });
  });

  it("calls the scheduled functions with an account that may, and waits for as long as they run", () => {
    const jobs = resources.filter(({ type }) => type === "google_cloud_scheduler_job");
    expect(jobs.map(({ key }) => key).sort()).toEqual(["mailboxReconciliation", "watchRenewal"]);
    for (const { key, values } of jobs) {
      const { uri } = functionsOf(resources).find(({ name }) => name === key) ?? {};
      const settings = SETTINGS[key];
      expect(values).toMatchObject({
        attempt_deadline: `${settings?.timeoutSeconds}s`,
        retry_config: [
          {
            retry_count: settings?.retryCount,
            min_backoff_duration: `${settings?.minBackoffSeconds}s`,
          },
        ],
        http_target: [{ http_method: "POST", uri: `${uri}/`, oidc_token: [{ audience: uri }] }],
      });
    }
  });

  it("alerts on events that are logged, and on every critical one", () => {
    const { unknown, alerting } = findEvents(resources);
    expect(unknown).toEqual([]);
    const lesser = Object.entries<LogEvent>(LOG_EVENTS).filter(([, { alert }]) => {
      return alert !== undefined && alert.from !== "CRITICAL";
    });
    expect(alerting.toSorted()).toEqual(lesser.map(([event]) => event).toSorted());
    const critical = one(resources, "google_monitoring_alert_policy", "a critical event");
    const [condition] = critical["conditions"] as Record<string, unknown>[];
    expect(condition?.["condition_matched_log"]).toMatchObject([
      {
        filter: expect.stringMatching(/\) AND severity>=CRITICAL$/),
        label_extractors: { event: "EXTRACT(jsonPayload.event)" },
      },
    ]);
    const [{ content = "" } = {}] = critical["documentation"] as { content?: string }[];
    const missing = Object.entries<LogEvent>(LOG_EVENTS).filter(
      ([event, { alert }]) =>
        alert !== undefined && !content.includes(`- \`${event}\`: ${alert.note}`),
    );
    expect(missing).toEqual([]);
    // The most that Cloud Monitoring takes.
    expect(content.length).toBeLessThan(8_192);
  });

  it("has as many conditions as the costs assume", () => {
    const policies = resources.filter(({ type }) => type === "google_monitoring_alert_policy");
    const conditions = policies.flatMap(({ values }) => values["conditions"] as unknown[]);
    expect(conditions).toHaveLength(ALERT_CONDITIONS);
  });

  it("notifies the operator of every alert, with its section of the runbook", () => {
    const anchors = anchorsOf(readFileSync("infra/docs/runbook.md", "utf8"));
    const policies = resources.filter(({ type }) => type === "google_monitoring_alert_policy");
    expect(policies.length).toBeGreaterThan(6);
    for (const { values } of policies) {
      const anchor = anchorOf(String(values["display_name"]).replace("Gmail push: ", ""));
      expect(anchors).toContain(anchor);
      const where = new RegExp(`^[A-Z][^]+[.?] What to do: infra/docs/runbook\\.md#${anchor}$`);
      expect(values).toMatchObject({
        notification_channels: DEPLOYED.notification_channels,
        documentation: [{ content: expect.stringMatching(where) }],
      });
    }
  });

  const edit = (file: string, from: string, to: string): Edit => ({ file, from, to });
  it.each<[what: string, edit: Edit, found: RegExp]>([
    [
      "functions that anybody may call",
      edit("accounts.tf", "local.functions[each.key].public ?", "true ?"),
      /allUsers has roles\/run.invoker/,
    ],
    [
      "one more public function",
      edit(
        "../functions/src/entries/functions.json",
        '"public": false,\n    "timeoutSeconds": 540',
        '"public": true,\n    "timeoutSeconds": 540',
      ),
      /allUsers has roles\/run.invoker/,
    ],
    [
      "everybody who publishes on Gmail's topic",
      edit(
        "topics.tf",
        '"serviceAccount:gmail-api-push@system.gserviceaccount.com"',
        '"allAuthenticatedUsers"',
      ),
      /allAuthenticatedUsers publishes on gmail-notifications/,
    ],
    [
      "a function that publishes on Gmail's topic",
      edit(
        "accounts.tf",
        "topic   = google_pubsub_topic.changes.name",
        "topic   = google_pubsub_topic.gmail.name",
      ),
      /connect@\S+ publishes on gmail-notifications/,
    ],
    [
      "an editor",
      edit("accounts.tf", '"roles/datastore.user"', '"roles/editor"'),
      /roles\/editor in the whole project/,
    ],
    [
      "every database of the project open",
      edit(
        "accounts.tf",
        'expression = "resource.name == \\"projects/${var.project_id}/databases/${google_firestore_database.receiver.name}\\""',
        'expression = "true"',
      ),
      /connect@\S+ uses every database of the project/,
    ],
    [
      "rights of a service in the whole project",
      edit("accounts.tf", '"roles/datastore.user"', '"roles/pubsub.admin"'),
      /roles\/pubsub.admin in the whole project/,
    ],
    [
      "one account for all functions",
      edit(
        "functions.tf",
        "google_service_account.function[each.key].email",
        'google_service_account.function["connect"].email',
      ),
      /gmailNotification runs as connect@/,
    ],
    [
      "a function without access to its secret",
      edit("accounts.tf", "for reader in readers :", "for reader in slice(readers, 0, 1) :"),
      /watchRenewal cannot use TOKEN_KEYS/,
    ],
    [
      "a function with access to another's secret",
      edit(
        "functions.tf",
        "if contains(local.secret_readers[name], each.key)",
        'if contains(local.secret_readers[name], each.key) && name != "TOKEN_KEYS"',
      ),
      /connect reads gmail-push-token-keys, which it does not use/,
    ],
  ])("would be found with %s", async (_, change, found) => {
    const leaks = await copy.withEdit(change, async () => findLeaks(await planned(DEPLOYED)));
    expect(leaks.join("\n")).toMatch(found);
  });

  it.each<[what: string, edit: Edit]>([
    [
      "expires",
      edit(
        "modules/subscription/main.tf",
        'enable_message_ordering    = var.is_ordered\n\n  expiration_policy {\n    ttl = ""',
        'expiration_policy {\n    ttl = "2678400s"',
      ),
    ],
    [
      "has no dead letters",
      edit(
        "modules/subscription/main.tf",
        "dead_letter_policy {\n    dead_letter_topic     = google_pubsub_topic.dead_letters.id\n    max_delivery_attempts = var.delivery_attempts_max\n  }",
        "",
      ),
    ],
    [
      "loses its dead letters",
      edit(
        "modules/subscription/main.tf",
        "topic                      = google_pubsub_topic.dead_letters.id",
        "topic                      = var.topic",
      ),
    ],
    [
      "cannot move its dead letters",
      edit("modules/subscription/main.tf", '"roles/pubsub.subscriber"', '"roles/pubsub.viewer"'),
    ],
    [
      "gives up before a function does",
      edit(
        "modules/subscription/main.tf",
        "ack_deadline_seconds       = 600",
        "ack_deadline_seconds       = 10",
      ),
    ],
  ])("would be found with a subscription that %s", async (_, change) => {
    const lossy = await copy.withEdit(change, async () =>
      findLossySubscriptions(await planned(DEPLOYED)),
    );
    expect(lossy).toHaveLength(1);
  });

  it("would be found with an alert on an event that is never logged", async () => {
    const change = edit("log-events.json", '"push_missed":', '"push_quiet":');
    const { unknown } = await copy.withEdit(change, async () =>
      findEvents(await planned(DEPLOYED)),
    );
    expect(unknown).toEqual(["push_quiet"]);
  });
});
