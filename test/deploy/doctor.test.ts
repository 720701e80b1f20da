import { existsSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Finding } from "../../infra/cli/doctor/checks.ts";
import { mailbox } from "../../infra/cli/doctor/checks/mailbox.ts";
import { exitCodeOf, linesOf } from "../../infra/cli/doctor/report.ts";
import { PROJECT, REGION } from "../cloud-emulator/project.ts";
import { type CloudState, forbid, policy, remove, resource } from "../cloud-emulator/state.ts";
import {
  CLIENT_ID,
  type Patient,
  SECRETS,
  type Surroundings,
  startPatient,
  startSurroundings,
} from "./doctor.ts";
import { isHad } from "../support/emulator-source.ts";
import { startHostingProxy } from "./hosting-proxy.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { runInfra } from "../support/infra-command.ts";
import { findGcloudSdk, tryCommands } from "./gcloud-sdk.ts";
import { findMisuse } from "./gcloud-apis.ts";

let around: Surroundings;
let patient: Patient;
beforeAll(async () => {
  around = await startSurroundings();
});
afterAll(() => around.close());
beforeEach(async () => {
  patient = await startPatient("deploy.sh", around);
});
afterEach(() => patient.close());

const kindsOf = (findings: Finding[], kind: Finding["kind"]) =>
  findings.filter((each) => each.kind === kind).map(({ check }) => check);
const fixesOf = (findings: Finding[]) =>
  findings.flatMap((each) =>
    each.kind === "failed" || each.kind === "warning" ? each.problems.map(({ fix }) => fix) : [],
  );

/** What is said goes by what is in it, so that a test sees how it reads. */
type Break = (state: CloudState, around: Surroundings) => unknown;

const serviceConfig = (state: CloudState, name: string) =>
  resource(state, `/functions/${name}`)["serviceConfig"] as Record<string, unknown>;
const environment = (state: CloudState, name: string) =>
  serviceConfig(state, name)["environmentVariables"] as Record<string, string>;
const SUBSCRIPTION = "eventarc-us-central1-gmailnotification-123456-sub-789";
const pushConfig = (state: CloudState) =>
  resource(state, SUBSCRIPTION)["pushConfig"] as { oidcToken: Record<string, unknown> };
const job = (state: CloudState, name: string) => resource(state, `/jobs/${name}`);
const addVersion = (state: CloudState, secret: string, number: number) =>
  state.resources.set(`v1/projects/${PROJECT}/secrets/${secret}/versions/${number}`, {
    name: `projects/${PROJECT}/secrets/${secret}/versions/${number}`,
    state: "ENABLED",
  });
const ALL_FUNCTIONS = [
  "gmailNotification",
  "watchRenewal",
  "mailboxReconciliation",
  "connect",
  "securityEvent",
  "gmailApi",
];
const set = (state: CloudState, name: string, value: string) => {
  for (const each of ALL_FUNCTIONS) environment(state, each)[name] = value;
};
const DEPLOY = `infra/deploy.sh --project ${PROJECT} --region ${REGION}`;
const hourAgo = (hours: number) => ({
  timestampValue: new Date(Date.now() - hours * 3_600_000).toISOString(),
});
const map = (fields: Record<string, unknown>) => ({ mapValue: { fields } });

/** All that was said to mend something: gcloud is asked at the end what it thinks of them. */
const fixes = new Set<string>();

/** One thing is wrong; one check fails; its fix names what is to be mended. */
const BROKEN: [what: string, change: Break, check: string, fix: string][] = [
  [
    "a service is not enabled",
    ({ services }) => services.delete("gmail.googleapis.com"),
    "apis",
    "gcloud services enable gmail.googleapis.com",
  ],
  [
    "the project is being deleted",
    (state) => {
      resource(state, `v3/projects/${PROJECT}`)["state"] = "DELETE_REQUESTED";
    },
    "project",
    `gcloud projects undelete ${PROJECT}`,
  ],
  [
    "a secret ends in a newline",
    (state) =>
      state.payloads.set(
        `v1/projects/${PROJECT}/secrets/OAUTH_CLIENT_SECRET/versions/1`,
        "GOCSPX-x\n",
      ),
    "configuration",
    DEPLOY,
  ],
  [
    "the Gmail emulator is named in the cloud",
    (state) => set(state, "GMAIL_EMULATOR_HOST", "127.0.0.1:1"),
    "configuration",
    DEPLOY,
  ],
  [
    "a function is missing",
    (state) => remove(state, "/functions/securityEvent"),
    "functions/securityEvent",
    DEPLOY,
  ],
  [
    "a function failed to deploy",
    (state) => {
      resource(state, "/functions/connect")["state"] = "FAILED";
    },
    "functions/connect",
    DEPLOY,
  ],
  [
    "a runtime has ended",
    (state) => {
      const config = resource(state, "/functions/connect")["buildConfig"] as object;
      Object.assign(config, { runtime: "nodejs20" });
    },
    "functions/connect",
    DEPLOY,
  ],
  [
    "events are not retried",
    (state) => {
      resource(state, "/functions/gmailNotification")["eventTrigger"] = {};
    },
    "functions/gmailNotification",
    DEPLOY,
  ],
  [
    "two renewals run in one instance",
    (state) => {
      serviceConfig(state, "watchRenewal")["maxInstanceRequestConcurrency"] = 80;
    },
    "functions/watchRenewal",
    DEPLOY,
  ],
  [
    "a function has too little memory",
    (state) => {
      serviceConfig(state, "connect")["availableMemory"] = "256Mi";
    },
    "functions/connect",
    DEPLOY,
  ],
  [
    "the heap may take nearly all of the memory",
    (state) => {
      delete environment(state, "connect")["NODE_OPTIONS"];
    },
    "functions/connect",
    DEPLOY,
  ],
  [
    "a function has another time limit",
    (state) => {
      serviceConfig(state, "watchRenewal")["timeoutSeconds"] = 60;
    },
    "functions/watchRenewal",
    DEPLOY,
  ],
  [
    "a private function takes requests from outside",
    (state) => {
      serviceConfig(state, "watchRenewal")["ingressSettings"] = "ALLOW_ALL";
    },
    "functions/watchRenewal",
    DEPLOY,
  ],
  [
    "one function has other settings",
    (state) => {
      environment(state, "watchRenewal")["CHANGES_TOPIC"] = "another";
    },
    "functions/watchRenewal",
    DEPLOY,
  ],
  [
    "one function revokes grants that the others leave",
    (state) => {
      environment(state, "mailboxReconciliation")["DISCONNECT_REVOKES"] = "false";
    },
    "functions/mailboxReconciliation",
    DEPLOY,
  ],
  [
    "tickets are required, and connect has no secret to verify them",
    (state) => {
      set(state, "CONNECT_TICKET", "required");
      set(state, "RETURN_TO_URLS", "https://app.example.com/done");
      state.payloads.set(`v1/projects/${PROJECT}/secrets/RETURN_TO_SECRET/versions/1`, "none");
    },
    "configuration",
    DEPLOY,
  ],
  [
    "connect is reached around its load balancer",
    (state) => set(state, "LOAD_BALANCERS", "1"),
    "functions/connect",
    DEPLOY,
  ],
  [
    "connect is not public",
    (state) => forbid(state, "/services/connect", /allUsers/),
    "functions/connect",
    "gcloud run services add-iam-policy-binding connect --region=us-central1 --member=allUsers",
  ],
  [
    "connect is not public, in an organization that refuses everybody a right",
    (state) => {
      forbid(state, "/services/connect", /allUsers/);
      state.resources.set(`v2/projects/${PROJECT}/policies/iam.allowedPolicyMemberDomains`, {
        spec: { rules: [{ values: { allowedValues: ["C0abc"] } }] },
      });
    },
    "functions/connect",
    "gcloud run services update connect --region=us-central1 --no-invoker-iam-check",
  ],
  [
    "everybody may call a private function",
    (state) =>
      policy(state, "/services/watchrenewal").bindings.push({
        role: "roles/run.invoker",
        members: ["allUsers"],
      }),
    "functions/watchRenewal",
    "gcloud run services remove-iam-policy-binding watchrenewal",
  ],
  [
    "everybody with a Google account may read every mailbox",
    (state) =>
      policy(state, "/services/gmailapi").bindings.push({
        role: "roles/run.servicesInvoker",
        members: ["allAuthenticatedUsers"],
      }),
    "functions/gmailApi",
    "gcloud run services remove-iam-policy-binding gmailapi",
  ],
  [
    "Cloud Run lets everybody call a private function",
    (state) => {
      resource(state, "/services/gmailapi")["invokerIamDisabled"] = true;
    },
    "functions/gmailApi",
    "gcloud run services update gmailapi --region=us-central1 --invoker-iam-check",
  ],
  [
    "the builder may not store images",
    (state) => forbid(state, `v3/projects/${PROJECT}`, /function-build/),
    "builds",
    `gcloud projects add-iam-policy-binding ${PROJECT} --member=serviceAccount:function-build@${PROJECT}.iam.gserviceaccount.com --role=roles/cloudbuild.builds.builder`,
  ],
  [
    "a schedule calls a private function at the host of all functions",
    (state) => {
      const target = job(state, "watch-renewal")["httpTarget"] as { uri: string };
      target.uri = `https://${REGION}-${PROJECT}.cloudfunctions.net/watchRenewal`;
    },
    "schedules/watchRenewal",
    DEPLOY,
  ],
  [
    "a secret's version is disabled",
    (state) => {
      resource(state, "NOTICE_SMTP_URL/versions/1")["state"] = "DISABLED";
    },
    "secrets",
    "gcloud secrets versions enable 1 --secret=NOTICE_SMTP_URL",
  ],
  [
    "a function may not read a secret",
    (state) => forbid(state, "/secrets/TOKEN_KEYS", /watch-renewal/),
    "secrets",
    `gcloud secrets add-iam-policy-binding TOKEN_KEYS --member=serviceAccount:watch-renewal@${PROJECT}`,
  ],
  [
    "the KMS key is disabled",
    (state) => {
      resource(state, "/cryptoKeys/token-keys")["primary"] = {
        name: "a/cryptoKeyVersions/1",
        state: "DISABLED",
      };
    },
    "kms-key",
    "gcloud kms keys versions enable 1 --key=token-keys --keyring=gmail-push-receiver",
  ],
  [
    "a function may not decrypt",
    (state) => forbid(state, "/cryptoKeys/token-keys", /connect@/),
    "kms-key",
    `gcloud kms keys add-iam-policy-binding token-keys --keyring=gmail-push-receiver --location=us-central1 --member=serviceAccount:connect@`,
  ],
  ["another key wrapped the ring", (state) => state.plaintexts.clear(), "token-keys", DEPLOY],
  [
    "a stored token needs a key that is gone",
    (state) =>
      state.users.set("1", {
        grant: map({ refreshToken: { stringValue: "v1.2025-01.AAAA.AAAA.AAAA" } }),
      }),
    "token-keys",
    "npm run -s keys -- verify",
  ],
  [
    "Gmail's topic is gone",
    (state) => remove(state, "/topics/gmail-notifications"),
    "gmail-topic",
    "gcloud pubsub topics create gmail-notifications",
  ],
  [
    "Gmail may not publish",
    (state) => forbid(state, "/topics/gmail-notifications", /gmail-api-push/),
    "gmail-publishes",
    "gcloud pubsub topics add-iam-policy-binding gmail-notifications --member=serviceAccount:gmail-api-push@system.gserviceaccount.com",
  ],
  [
    "the changes topic is gone",
    (state) => remove(state, "/topics/mailbox-changes"),
    "changes-topic",
    "gcloud pubsub topics create mailbox-changes",
  ],
  [
    "a function may not publish",
    (state) => forbid(state, "/topics/mailbox-changes", /mailbox-reconciliation/),
    "changes-topic",
    `gcloud pubsub topics add-iam-policy-binding mailbox-changes --member=serviceAccount:mailbox-reconciliation@`,
  ],
  ["nothing calls the function", (state) => remove(state, SUBSCRIPTION), "notifications", DEPLOY],
  [
    "pushes are given up too early",
    (state) => {
      resource(state, SUBSCRIPTION)["ackDeadlineSeconds"] = 10;
    },
    "notifications",
    `gcloud pubsub subscriptions update ${SUBSCRIPTION} --ack-deadline=600`,
  ],
  [
    "failed pushes come again at once",
    (state) => {
      delete resource(state, SUBSCRIPTION)["retryPolicy"];
    },
    "notifications",
    "--min-retry-delay=10s",
  ],
  [
    "the subscription expires",
    (state) => {
      resource(state, SUBSCRIPTION)["expirationPolicy"] = { ttl: "2678400s" };
    },
    "notifications",
    "--expiration-period=never",
  ],
  [
    "pushes are for another audience",
    (state) => {
      pushConfig(state).oidcToken["audience"] = "https://elsewhere.example";
    },
    "notifications",
    "--push-auth-token-audience=https://gmailnotification-ab12cd34ef-uc.a.run.app",
  ],
  [
    "the pushing account may not call",
    (state) => forbid(state, "/services/gmailnotification", /event-invoker/),
    "notifications",
    "gcloud run services add-iam-policy-binding gmailnotification",
  ],
  [
    "nobody keeps the dead letters",
    (state) => remove(state, "/subscriptions/gmail-notifications-dead-letters"),
    "dead-letters",
    "gcloud pubsub subscriptions create gmail-notifications-dead-letters",
  ],
  [
    "the topic of dead letters is gone",
    (state) => remove(state, "/topics/gmail-notifications-dead-letters"),
    "dead-letters",
    DEPLOY,
  ],
  [
    "Pub/Sub may not publish dead letters",
    (state) => forbid(state, "/topics/gmail-notifications-dead-letters", /gcp-sa-pubsub/),
    "dead-letters",
    "gcloud pubsub topics add-iam-policy-binding gmail-notifications-dead-letters --member=serviceAccount:service-123456789012@gcp-sa-pubsub",
  ],
  [
    "Pub/Sub may not acknowledge dead letters",
    (state) => forbid(state, SUBSCRIPTION, /gcp-sa-pubsub/),
    "dead-letters",
    `gcloud pubsub subscriptions add-iam-policy-binding ${SUBSCRIPTION}`,
  ],
  [
    "a schedule is missing",
    (state) => remove(state, "/jobs/watch-renewal"),
    "schedules/watchRenewal",
    DEPLOY,
  ],
  [
    "a schedule is paused",
    (state) => {
      job(state, "watch-renewal")["state"] = "PAUSED";
    },
    "schedules/watchRenewal",
    "gcloud scheduler jobs resume watch-renewal --location=us-central1",
  ],
  [
    "a schedule is another one",
    (state) => {
      job(state, "mailbox-reconciliation")["schedule"] = "0 * * * *";
    },
    "schedules/mailboxReconciliation",
    "gcloud scheduler jobs update http mailbox-reconciliation '--schedule=* * * * *'",
  ],
  [
    "a scheduled run failed",
    (state) => {
      job(state, "watch-renewal")["status"] = { code: 13 };
    },
    "schedules/watchRenewal",
    "gcloud scheduler jobs run watch-renewal",
  ],
  [
    "a schedule is for another audience",
    (state) => {
      (job(state, "watch-renewal")["httpTarget"] as { oidcToken: object }).oidcToken = {
        serviceAccountEmail: `schedule-invoker@${PROJECT}.iam.gserviceaccount.com`,
        audience: "https://elsewhere.example",
      };
    },
    "schedules/watchRenewal",
    "--oidc-token-audience=https://watchrenewal-ab12cd34ef-uc.a.run.app",
  ],
  [
    "the scheduler may not call",
    (state) => forbid(state, "/services/mailboxreconciliation", /schedule-invoker/),
    "schedules/mailboxReconciliation",
    "gcloud run services add-iam-policy-binding mailboxreconciliation",
  ],
  [
    "the database is an enterprise one",
    (state) => {
      resource(state, "/databases/gmail-push")["databaseEdition"] = "ENTERPRISE";
    },
    "firestore",
    "native, standard",
  ],
  [
    "connect is at the host of all functions",
    (state, { stack }) => {
      const url = `https://${REGION}-${PROJECT}.cloudfunctions.net/connect`;
      set(state, "PUBLIC_URL", url);
      stack.emulator.setRedirectUris(CLIENT_ID, [`${url}/callback`]);
    },
    "public-url",
    "1. add https://connect-123456789012.us-central1.run.app/callback",
  ],
  [
    "a function may not use the database",
    (state) => forbid(state, `v3/projects/${PROJECT}`, /security-event/),
    "firestore",
    `gcloud projects add-iam-policy-binding ${PROJECT} --member=serviceAccount:security-event@`,
  ],
  [
    "an index is missing",
    (state) => remove(state, "/fields/sync.dueAt"),
    "firestore/indexes",
    "gcloud firestore indexes fields update sync.dueAt --collection-group=users --database=gmail-push --index=order=ascending",
  ],
  [
    "an index is still being made",
    (state) => {
      const field = resource(state, "/fields/sync.dueAt");
      const { indexes } = field["indexConfig"] as { indexes: { state: string }[] };
      for (const index of indexes) index.state = "CREATING";
    },
    "firestore/indexes",
    "wait some minutes",
  ],
  [
    "everything is indexed",
    (state) => remove(state, "/users/fields/*"),
    "firestore/indexes",
    "gcloud firestore indexes fields update '*' --collection-group=users --database=gmail-push --disable-indexes",
  ],
  [
    "nothing is deleted",
    (state) => {
      delete resource(state, "securityEvents/fields/expireAt")["ttlConfig"];
    },
    "firestore/ttl",
    "gcloud firestore fields ttls update expireAt --collection-group=securityEvents --database=gmail-push --enable-ttl",
  ],
  [
    "the rules let clients in",
    (state) => {
      resource(state, "/rulesets/1")["source"] = { files: [{ content: "allow read: if true;" }] };
    },
    "firestore/rules",
    `npx tsx infra/firestore-rules.ts ${PROJECT}`,
  ],
  [
    "links and codes are logged",
    (state) => {
      resource(state, "/sinks/_Default")["exclusions"] = [];
    },
    "request-logs",
    "gcloud logging sinks update _Default '--add-exclusion=name=gmail-push-links,",
  ],
  [
    "the exclusion of links and codes is switched off",
    (state) => {
      const sink = resource(state, "/sinks/_Default");
      sink["exclusions"] = (sink["exclusions"] as object[]).map((each) => ({
        ...each,
        disabled: true,
      }));
    },
    "request-logs",
    ",disabled=false'",
  ],
  [
    "the exclusion of links and codes is another one",
    (state) => {
      resource(state, "/sinks/_Default")["exclusions"] = [
        { name: "gmail-push-links", filter: "severity=DEBUG" },
      ];
    },
    "request-logs",
    "--update-exclusion=name=gmail-push-links,",
  ],
  [
    "PUBLIC_URL leads elsewhere",
    (state, { stack }) => {
      set(state, "PUBLIC_URL", `${stack.publicUrl}/elsewhere`);
      stack.emulator.setRedirectUris(CLIENT_ID, [`${stack.publicUrl}/elsewhere/callback`]);
    },
    "public-url",
    DEPLOY,
  ],
  [
    "the redirect URI is not registered",
    (_, { stack }) =>
      stack.emulator.setRedirectUris(CLIENT_ID, ["https://elsewhere.example/callback"]),
    "redirect-uri",
    `https://console.cloud.google.com/auth/clients?project=${PROJECT}`,
  ],
  [
    "the client's secret is another one",
    (_, { stack }) => stack.emulator.setClientSecret(CLIENT_ID, "GOCSPX-another"),
    "oauth-client",
    DEPLOY,
  ],
  [
    "the OAuth client was deleted",
    (_, { stack }) => stack.emulator.setClientState(CLIENT_ID, "deleted"),
    "oauth-client",
    "restore it",
  ],
  [
    "the OAuth client is disabled",
    (_, { stack }) => stack.emulator.setClientState(CLIENT_ID, "disabled"),
    "oauth-client",
    "enable it",
  ],
  [
    "the client is of another project",
    (state) => {
      resource(state, `v3/projects/${PROJECT}`)["name"] = "projects/999999999999";
      for (const each of [
        "v1/projects/demo-cloud/topics/gmail-notifications-dead-letters",
        `v1/projects/${PROJECT}/subscriptions/${SUBSCRIPTION}`,
      ])
        for (const binding of state.policies.get(each)?.bindings ?? [])
          binding.members = [
            "serviceAccount:service-999999999999@gcp-sa-pubsub.iam.gserviceaccount.com",
          ];
    },
    "oauth-project",
    "auth/clients?project",
  ],
  [
    "security events go elsewhere",
    ({ stream }, { stack }) => {
      if (stream) stream.url = stack.publicUrl;
    },
    "security-events",
    "npm run risc",
  ],
  [
    "security events are disabled",
    ({ stream }) => {
      if (stream) stream.status = "disabled";
    },
    "security-events",
    "npm run risc -- enable",
  ],
  [
    "an event is not asked for",
    ({ stream }) => stream?.events.pop(),
    "security-events",
    "register",
  ],
  [
    "the mail server refuses the login",
    (state) => {
      const name = `v1/projects/${PROJECT}/secrets/NOTICE_SMTP_URL/versions/1`;
      state.payloads.set(
        name,
        state.payloads.get(name)?.replace(SECRETS.password, "canary-that-is-wrong") ?? "",
      );
    },
    "mail-server",
    DEPLOY,
  ],
  [
    "a watch has ended",
    ({ users }) => users.set("1", { watch: map({ renewAt: hourAgo(150), expiresAt: hourAgo(1) }) }),
    "users",
    "gcloud logging read",
  ],
];

describe("the doctor, of a healthy project", () => {
  it.each(["deploy.sh", "terraform"] as const)("that %s made, finds nothing wrong", async (by) => {
    const other = await startPatient(by, around);
    const findings = await other.examine();
    await other.close();
    expect(findings.filter(({ kind }) => kind !== "ok")).toEqual([]);
    expect(findings).toHaveLength(35);
  });

  it("that the Firebase CLI made, finds that it keeps no dead letters, and nothing else", async () => {
    const other = await startPatient("firebase", around);
    const findings = await other.examine();
    expect(findings.filter(({ kind }) => kind !== "ok").map(({ check }) => check)).toEqual([
      "dead-letters",
    ]);
    expect(fixesOf(findings).join()).toContain("npx firebase deploy");
    delete resource(other.cloud.state, "/repositories/gcf-artifacts")["cleanupPolicies"];
    const kept = (await other.examine()).filter(({ check }) => check === "builds/images");
    expect(fixesOf(kept)).toEqual([
      expect.stringMatching(/^npx firebase functions:artifacts:setpolicy --location us-central1 /),
    ]);
    // Google rejects the calls of Cloud Scheduler at the address that the CLI gives it.
    for (const name of ["watchRenewal", "mailboxReconciliation"]) {
      serviceConfig(other.cloud.state, name)["ingressSettings"] = "ALLOW_INTERNAL_ONLY";
    }
    forbid(other.cloud.state, `v3/projects/${PROJECT}`, /-compute@developer/);
    const broken = await other.examine();
    await other.close();
    expect(kindsOf(broken, "failed")).toEqual([
      "builds",
      "schedules/watchRenewal",
      "schedules/mailboxReconciliation",
    ]);
    expect(fixesOf(broken).join("\n")).toContain(
      "--member=serviceAccount:123456789012-compute@developer.gserviceaccount.com --role=roles/cloudbuild.builds.builder",
    );
  });

  it("that is public without a right of everybody, finds nothing wrong", async () => {
    for (const name of ["connect", "securityevent"]) {
      forbid(patient.cloud.state, `/services/${name}`, /allUsers/);
      resource(patient.cloud.state, `/services/${name}`)["invokerIamDisabled"] = true;
    }
    const findings = await patient.examine();
    expect(findings.filter(({ kind }) => kind !== "ok")).toEqual([]);
  });

  it("changes nothing: it reads, queries policies and counts, and tries one token", async () => {
    await patient.examine();
    const { requests } = patient.cloud;
    expect(requests.length).toBeGreaterThan(50);
    const posts = requests.filter(({ method }) => method !== "GET");
    expect(new Set(posts.map(({ path }) => path.replace(/^.*:/, "")))).toEqual(
      new Set(["getIamPolicy", "decrypt", "runQuery", "runAggregationQuery"]),
    );
    expect(posts.every(({ method }) => method === "POST")).toBe(true);
    const { calls } = around.stack.emulator;
    expect(calls.map(({ method }) => method).toSorted()).toEqual(["auth.page", "token.refresh"]);
    expect(around.sink.mails).toEqual([]);
  });
});

describe("the doctor, where one thing is wrong", () => {
  it.each(BROKEN)("says that %s", async (_, change, check, fix) => {
    change(patient.cloud.state, around);
    const findings = await patient.examine();
    expect(kindsOf(findings, "failed")).toEqual([check]);
    expect(kindsOf(findings, "warning")).toEqual([]);
    for (const each of fixesOf(findings)) fixes.add(each);
    expect(fixesOf(findings).join("\n")).toContain(fix);
    expect(exitCodeOf(findings)).toBe(1);
    expect(findSecrets(linesOf(findings).join("\n"), Object.values(SECRETS))).toEqual([]);
  });

  const WARNINGS: typeof BROKEN = [
    [
      "images are kept for ever",
      (state) => {
        delete resource(state, "/repositories/gmail-push-images")["cleanupPolicies"];
      },
      "builds/images",
      "gcloud artifacts repositories set-cleanup-policies gmail-push-images --location=us-central1 --policy=infra/image-cleanup.json --no-dry-run",
    ],
    [
      "a new version of a secret is not deployed",
      (state) => addVersion(state, "TOKEN_KEYS", 2),
      "secrets/newest",
      DEPLOY,
    ],
    [
      "dead letters are dropped",
      (state) => {
        delete resource(state, SUBSCRIPTION)["deadLetterPolicy"];
      },
      "dead-letters",
      DEPLOY,
    ],
    [
      "no security events come",
      (state) => {
        delete state.stream;
      },
      "security-events",
      "npm run risc",
    ],
    [
      "mailboxes wait for long",
      ({ users }) => users.set("1", { sync: map({ dueAt: hourAgo(1) }) }),
      "users",
      "gcloud logging read",
    ],
  ];

  it("warns that a function may use other databases, and prints two commands that fix it", async () => {
    const rights = policy(patient.cloud.state, `v3/projects/${PROJECT}`);
    const member = `serviceAccount:connect@${PROJECT}.iam.gserviceaccount.com`;
    const binding = { role: "roles/datastore.user", members: [member] };
    rights.bindings.push(binding);
    const narrowing = `gcloud projects remove-iam-policy-binding ${PROJECT} --member=${member} --role=roles/datastore.user --condition=None`;
    const narrowed = await patient.examine();
    expect(kindsOf(narrowed, "warning")).toEqual(["firestore"]);
    expect(fixesOf(narrowed)).toEqual([narrowing]);

    forbid(patient.cloud.state, `v3/projects/${PROJECT}`, /connect@/);
    binding.members.push(member);
    const wide = await patient.examine();
    expect(kindsOf(wide, "warning")).toEqual(["firestore"]);
    const condition = `resource.name=="projects/${PROJECT}/databases/gmail-push"`;
    const add = `gcloud projects add-iam-policy-binding ${PROJECT} --member=${member} --role=roles/datastore.user '--condition=expression=${condition},title=gmail-push-database'`;
    expect(fixesOf(wide)).toEqual([add]);
    for (const fix of [add, narrowing]) fixes.add(fix);
  });

  it("reports a proxy that drops the pages' cookies", async () => {
    const { stack } = around;
    const front = await startHostingProxy(stack.publicUrl);
    try {
      set(patient.cloud.state, "PUBLIC_URL", front.url);
      stack.emulator.setRedirectUris(CLIENT_ID, [`${front.url}/callback`]);
      const findings = await patient.examine();
      expect(kindsOf(findings, "failed")).toEqual(["public-url"]);
      expect(fixesOf(findings)).toEqual([expect.stringContaining("pass all cookies")]);
    } finally {
      front.close();
    }
  });

  const behindFor = (hours: number) => map({ behindSince: hourAgo(hours) });
  it.each([
    ["half an hour", undefined, 0.6, 0.4],
    ["MAILBOX_DELAYED_AFTER_MS", String(3 * 3_600_000), 3.1, 2.9],
  ])("warns of mailboxes that are incomplete for %s", async (_, limit, late, timely) => {
    const { state } = patient.cloud;
    if (limit !== undefined) set(state, "MAILBOX_DELAYED_AFTER_MS", limit);
    state.users.set("1", { sync: behindFor(timely) });
    expect(kindsOf(await patient.examine(), "warning")).toEqual([]);
    state.users.set("1", { sync: behindFor(late) });
    const findings = await patient.examine();
    expect(kindsOf(findings, "warning")).toEqual(["users"]);
    expect(fixesOf(findings)).toEqual(["npm run -s mailboxes -- list --behind"]);
  });

  it("finds a mailbox by the address that Gmail uses", async () => {
    const text = (stringValue: string) => ({ stringValue });
    patient.cloud.state.users.set("1", {
      emailAddress: text("ada@googlemail.com"),
      notifiedAs: text("ada@gmail.com"),
      status: text("active"),
    });
    const deployment = patient.deployment();
    for (const emailAddress of ["ada@gmail.com", "ada@googlemail.com"]) {
      const result = await mailbox({ emailAddress, waitMs: 0, say: () => undefined })(deployment);
      expect(JSON.stringify(result)).toContain(`no notification of ${emailAddress} was served`);
    }
    const unknown = await mailbox({ emailAddress: "a@gmail.com", waitMs: 0, say: () => undefined })(
      deployment,
    );
    expect(JSON.stringify(unknown)).toContain("a@gmail.com is not connected");
  });

  it("checks the database that the functions name", async () => {
    set(patient.cloud.state, "FIRESTORE_DATABASE", "elsewhere");
    const findings = await patient.examine();
    expect(findings.find(({ check }) => check === "firestore")).toMatchObject({
      kind: "failed",
      problems: [
        { fix: expect.stringContaining("gcloud firestore databases create --database=elsewhere") },
      ],
    });
    const asked = patient.cloud.requests.filter(({ path }) =>
      /databases|cloud\.firestore/.test(path),
    );
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter(({ path }) => !path.includes("elsewhere"))).toEqual([]);
  });

  it("does not count a permission on another database", async () => {
    const [binding] = policy(patient.cloud.state, `v3/projects/${PROJECT}`).bindings;
    if (binding) binding.condition = { expression: 'resource.name == "projects/p/databases/d"' };
    const findings = await patient.examine();
    expect(kindsOf(findings, "unchecked")).toEqual(["firestore"]);
  });

  it.each(WARNINGS)("warns that %s, and continues", async (_, change, check, fix) => {
    change(patient.cloud.state, around);
    const findings = await patient.examine();
    expect(kindsOf(findings, "failed")).toEqual([]);
    expect(kindsOf(findings, "warning")).toEqual([check]);
    expect(fixesOf(findings).join("\n")).toContain(fix);
    expect(exitCodeOf(findings)).toBe(0);
  });
});

describe("the doctor, where it cannot see", () => {
  const DENIED: [what: RegExp, check: string, role: string][] = [
    [/secrets.*:access$/, "configuration", "roles/secretmanager.secretAccessor"],
    [/:decrypt$/, "token-keys", "roles/cloudkms.cryptoKeyDecrypter"],
    [/topics\/gmail-notifications:getIamPolicy$/, "gmail-publishes", "roles/pubsub.admin"],
    [/\/jobs/, "schedules/watchRenewal", "roles/cloudscheduler.viewer"],
    [/^v3\/projects\/[^/]+:getIamPolicy$/, "firestore", "roles/iam.securityReviewer"],
    [/functions/, "functions/connect", "roles/cloudfunctions.viewer"],
    [/:runQuery/, "users", "roles/datastore.viewer"],
    [/collectionGroups/, "firestore/indexes", "roles/datastore.viewer"],
    [/services:batchGet/, "apis", "roles/serviceusage.serviceUsageConsumer"],
  ];

  it.each(DENIED)(
    "says that %s is denied, and which role would allow it",
    async (path, check, role) => {
      patient.cloud.state.denied = path;
      const findings = await patient.examine();
      expect(kindsOf(findings, "failed")).toEqual([]);
      const found = findings.find((each) => each.check === check);
      expect(found).toMatchObject({ kind: "unchecked", said: expect.stringContaining(role) });
      expect(exitCodeOf(findings)).toBe(3);
    },
  );

  it("judges a custom role neither right nor wrong", async () => {
    const { state } = patient.cloud;
    forbid(state, "/topics/mailbox-changes", /connect@/);
    const members = [`serviceAccount:connect@${PROJECT}.iam.gserviceaccount.com`];
    policy(state, "/topics/mailbox-changes").bindings.push({
      role: "projects/p/roles/own",
      members,
    });
    const findings = await patient.examine();
    expect(kindsOf(findings, "failed")).toEqual([]);
    expect(kindsOf(findings, "unchecked")).toEqual(["changes-topic"]);
  });

  it("judges nothing without a network", async () => {
    const nowhere = await startSurroundings();
    const alone = await startPatient("deploy.sh", nowhere);
    await alone.close();
    await nowhere.close();
    const findings = await alone.examine();
    expect(kindsOf(findings, "failed")).toEqual([]);
    expect(kindsOf(findings, "ok")).toEqual(["credentials"]);
    expect(exitCodeOf(findings)).toBe(3);
  });

  it("leaves unchecked what cannot be reached from this machine", async () => {
    const nowhere = await startSurroundings();
    const alone = await startPatient("deploy.sh", nowhere);
    await nowhere.close();
    const findings = await alone.examine();
    await alone.close();
    expect(kindsOf(findings, "failed")).toEqual([]);
    expect(kindsOf(findings, "unchecked")).toEqual([
      "public-url",
      "oauth-client",
      "redirect-uri",
      "security-events",
      "mail-server",
    ]);
  });
});

const sdk = findGcloudSdk();

describe.skipIf(!isHad(sdk))("what gcloud's own code says", { timeout: 120_000 }, () => {
  it("accepts every command that fixes something", () => {
    if (sdk.kind === "missing") throw new Error(sdk.why);
    const [ours, theirs] = [/^infra\/(\S+)/, /^gcloud /].map((pattern) =>
      [...fixes].filter((command) => pattern.test(command)),
    );
    for (const command of ours ?? []) expect(existsSync(command.split(" ")[0] ?? "")).toBe(true);
    const simple = (theirs ?? []).filter((command) => !command.includes(" | "));
    expect(simple.length).toBeGreaterThan(25);
    expect(tryCommands(sdk, simple).filter(({ end }) => end !== "ok")).toEqual([]);
  });

  it("knows every request, and every field of every response of the emulator", async () => {
    if (sdk.kind === "missing") throw new Error(sdk.why);
    await patient.examine();
    // gcloud has no client for these. Documents are asked for in test/emulators/doctor.test.ts.
    const asked = patient.cloud.requests.filter(
      ({ path }) => !/^\/v1beta\/stream|\/releases\/|\/rulesets\/|\/documents:/.test(path),
    );
    expect(asked.length).toBeGreaterThan(40);
    expect(findMisuse(sdk, asked)).toEqual([]);
    const wrong = { method: "GET", path: `/v2/projects/p/locations/l/functions`, status: 200 };
    const answers = [{ functions: [{ nome: "x" }] }, { functions: [] }];
    const misuse = findMisuse(sdk, [
      { ...wrong, answer: answers[0] },
      { ...wrong, path: "/v2/projects/p/locations/l/funktions", answer: answers[1] },
    ]);
    expect(misuse).toHaveLength(2);
  });
});

describe("npm run doctor", () => {
  const ARGS = ["--project", PROJECT, "--region", REGION];

  it("exits 0, 1 or 3, says what it found, and shows no secret", async () => {
    const well = await runInfra("doctor", ARGS, { env: patient.env });
    expect(well).toMatchObject({ code: 0, stderr: "" });
    expect(well.stdout).toMatch(/^ok +credentials /);
    expect(well.stdout).toMatch(/\n35 ok\n$/);

    patient.cloud.state.denied = /\/jobs/;
    const unseen = await runInfra("doctor", [...ARGS, "--json"], { env: patient.env });
    expect(unseen).toMatchObject({ code: 3, stderr: "" });
    expect(JSON.parse(unseen.stdout)).toMatchObject({ kind: "cloud", projectId: PROJECT });

    forbid(patient.cloud.state, "/topics/gmail-notifications", /gmail-api-push/);
    const ill = await runInfra("doctor", ARGS, { env: patient.env });
    expect(ill.code).toBe(1);
    expect(ill.stdout).toMatch(/^FAILED +gmail-publishes .*\n +gcloud pubsub topics add-iam/m);
    const said = [well, unseen, ill].map(({ stdout, stderr }) => stdout + stderr).join("\n");
    expect(findSecrets(said, Object.values(SECRETS))).toEqual([]);
  });

  it("runs only the checks that are named", async () => {
    const { code, stdout } = await runInfra("doctor", [...ARGS, "--only", "functions", "--json"], {
      env: patient.env,
    });
    expect(code).toBe(0);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(findings.map(({ check }) => check)).toEqual(
      ALL_FUNCTIONS.map((name) => `functions/${name}`),
    );
  });

  it("says how to sign in when no one is signed in", async () => {
    const { code, stdout } = await runInfra("doctor", [...ARGS, "--only", "credentials"], {
      env: { GOOGLE_APPLICATION_CREDENTIALS: "/nowhere.json" },
    });
    expect(code).toBe(1);
    expect(stdout).toContain("gcloud auth application-default login");
  });

  it.each([
    [["--project", "!"], {}, /--project needs a project id/],
    [[...ARGS, "--only", "nothing"], {}, /there is no check nothing/],
    [[...ARGS, "--wait", "soon"], {}, /--wait <seconds>.* is invalid/],
    [ARGS, { GOOGLE_CLOUD_EMULATOR_HOST: "example.com:80" }, /GOOGLE_CLOUD_EMULATOR_HOST must be/],
  ])("exits 2 when used wrongly: %j", async (args, env, complaint) => {
    const { code, stderr, stdout } = await runInfra("doctor", args, {
      env: env as Record<string, string>,
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(complaint);
  });
});
