import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseEnv } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, readConfig } from "../../functions/src/config/config.ts";
import { VARIABLE_NAMES } from "../../functions/src/config/variables.ts";
import settings from "../../functions/src/entries/functions.json" with { type: "json" };
import { PROJECT, dryRun } from "./deploy-script.ts";
import { printed, wanted } from "./deployed-functions.ts";
import { readDotenv, sent } from "./firebase-requests.ts";

/**
 * Goal: both tools deploy the same six functions. What the Firebase CLI discovers in the built
 * folder is carried through the CLI's own code to the requests that it would send to Google, and
 * compared with the commands that `deploy.sh` prints, and both with `functions.json`.
 */

const ROOT = path.resolve(import.meta.dirname, "../..");
const REGION = "europe-west1";
const SETTINGS = `REGION=${REGION}\nOAUTH_CLIENT_ID=123-abc.apps.googleusercontent.com\n`;

interface Manifest {
  params: { name: string; type: string; default?: string }[];
  requiredRoles: string[];
}

describe("the six functions", { timeout: 120_000 }, () => {
  let folder: string;
  let manifest: Manifest;
  let envFile: string;

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), "discovery-"));
    envFile = path.join(folder, ".env");
    writeFileSync(envFile, SETTINGS);
    run(["--import", "tsx", path.join(ROOT, "functions/build.ts"), folder], ROOT, {});
    const found = path.join(folder, "manifest.json");
    // As the CLI does, and with nothing of the configuration there.
    run([path.join(ROOT, "node_modules/.bin/firebase-functions")], "firebase", {
      FUNCTIONS_MANIFEST_OUTPUT_PATH: found,
    });
    manifest = JSON.parse(readFileSync(found, "utf8"));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(args: string[], cwd: string, env: Record<string, string>): void {
    const { status, stderr } = spawnSync(process.execPath, args, {
      cwd: path.resolve(folder, cwd),
      env: { PATH: process.env["PATH"], ...env },
      encoding: "utf8",
      timeout: 60_000,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  }

  const answers = () => ({
    ...(parseEnv(SETTINGS) as Record<string, string>),
    PUBLIC_URL: "https://connect.example.com",
    PROJECT_NUMBER: "123456789012",
    FIRESTORE_DATABASE: "gmail-push",
    GMAIL_TOPIC: `projects/${PROJECT}/topics/gmail-notifications`,
    CHANGES_TOPIC: "mailbox-changes",
    NODE_OPTIONS: "--max-old-space-size=256",
  });

  it("match functions.json, by either tool", async () => {
    const expected = wanted(REGION);
    expect(Object.keys(expected)).toHaveLength(6);
    expect(await sent(manifest, answers())).toEqual(wanted(REGION, "firebase"));
    expect(printed(dryRun(envFile).commands)).toEqual(expected);
  });

  it("are as the settings say: without a right of allUsers, behind a load balancer", async () => {
    const found = path.join(folder, "private.json");
    run([path.join(ROOT, "node_modules/.bin/firebase-functions")], "firebase", {
      FUNCTIONS_MANIFEST_OUTPUT_PATH: found,
      INVOKER_IAM_CHECK: "false",
      LOAD_BALANCERS: "1",
    });
    const made = await sent(JSON.parse(readFileSync(found, "utf8")), answers());
    expect(Object.values(made).filter((each) => each.public)).toEqual([]);
    const usual = wanted(REGION, "firebase");
    const ingress = Object.entries(made).filter(
      ([name, its]) => its.ingress !== usual[name]?.ingress,
    );
    // The load balancer cannot be passed by.
    expect(ingress).toMatchObject([["connect", { ingress: "internal-and-gclb" }]]);
    expect(openPages("")).toEqual([]);
    expect(openPages("INVOKER_IAM_CHECK=true\n")).toEqual([]);
    const services = Object.values(wanted(REGION))
      .filter((each) => each.public)
      .map(({ entryPoint }) => entryPoint.toLowerCase());
    expect(openPages("INVOKER_IAM_CHECK='false'\n")).toEqual(
      services.map(
        (name) =>
          `gcloud run services update ${name} --no-invoker-iam-check --region=${REGION} --project=${PROJECT}`,
      ),
    );
  });

  /** What the CLI's hook calls after a deployment with these settings, in a folder with spaces. */
  function openPages(more: string): string[] {
    const { functions } = JSON.parse(readFileSync(path.join(ROOT, "firebase.json"), "utf8"));
    const project = path.join(folder, "my project");
    mkdirSync(path.join(project, "infra/deploy"), { recursive: true });
    const script = "infra/deploy/open-pages.sh";
    copyFileSync(path.join(ROOT, script), path.join(project, script));
    writeFileSync(path.join(project, `infra/.env.${PROJECT}`), `${SETTINGS}${more}`);
    writeFileSync(path.join(project, "gcloud"), '#!/bin/sh\necho "gcloud $*" >>calls\n');
    chmodSync(path.join(project, "gcloud"), 0o755);
    const { status, stderr } = spawnSync("sh", ["-c", functions[0].postdeploy[0]], {
      cwd: project,
      env: { PATH: `${project}:${process.env["PATH"]}`, GCLOUD_PROJECT: PROJECT },
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const calls = path.join(project, "calls");
    return existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : [];
  }

  it("are private except connect and securityEvent, and retry every event", () => {
    const isPublic = Object.values(wanted(REGION)).filter((each) => each.public);
    expect(isPublic.map(({ entryPoint }) => entryPoint)).toEqual(["connect", "securityEvent"]);
    const events = Object.values(wanted(REGION)).filter(({ topic }) => topic !== undefined);
    expect(events.map(({ retry }) => retry)).toEqual([true]);
  });

  it("make the CLI ask for every required setting, and for every secret as a secret", () => {
    const problems = problemsOf({});
    const required = problems.map((problem) => problem.replace(/ is not set$/, ""));
    const asked = new Map(manifest.params.map(({ name, type }) => [name, type]));
    expect(required).toContain("OAUTH_CLIENT_ID");
    // The CLI sets the project itself.
    expect(required.filter((name) => !asked.has(name))).toEqual(["GOOGLE_CLOUD_PROJECT"]);
    const secrets = new Set(Object.values(settings).flatMap((its) => its.secrets));
    const askedAsSecrets = [...asked].filter(([, type]) => type === "secret");
    expect(askedAsSecrets.map(([name]) => name).toSorted()).toEqual([...secrets].toSorted());
  });

  it("have an origin and a database of their own, as with deploy.sh", async () => {
    const own = { ...answers(), PROJECT_NUMBER: "123456789012" };
    const resolve = (name: string) =>
      JSON.stringify(manifest.params.find((param) => param.name === name)?.default).replaceAll(
        /\{\{ params\.(\w+) \}\}/g,
        (_, param) => own[param as keyof typeof own] ?? "",
      );
    expect(JSON.parse(resolve("PUBLIC_URL"))).toBe(
      `https://connect-123456789012.${REGION}.run.app`,
    );
    expect(JSON.parse(resolve("FIRESTORE_DATABASE"))).toBe("gmail-push");
    const { firestore } = JSON.parse(readFileSync(path.join(ROOT, "firebase.json"), "utf8"));
    expect(firestore).toEqual([expect.objectContaining({ database: "gmail-push" })]);
    const { stdout } = dryRun(envFile);
    expect(stdout).toContain(`https://connect-PROJECT_NUMBER.${REGION}.run.app`);
    expect(stdout).toContain("--database=gmail-push");
  });

  it("leave half of the memory to the heap, by either tool", () => {
    const memory = new Set(Object.values(settings).map(({ memoryMiB }) => memoryMiB));
    const NODE_OPTIONS = `--max-old-space-size=${Math.min(...memory) / 2}`;
    expect(memory.size).toBe(1);
    expect(manifest.params.find(({ name }) => name === "NODE_OPTIONS")?.default).toBe(NODE_OPTIONS);
    const script = ["--import", "tsx", "infra/deploy-settings.ts", PROJECT, "", envFile];
    const { stdout } = spawnSync(process.execPath, script, { cwd: ROOT, encoding: "utf8" });
    expect(stdout).toContain(`"NODE_OPTIONS":"${NODE_OPTIONS}"`);
  });

  it("ask for no more CPUs than the smallest quota of a region, ten", () => {
    const most = Object.values(wanted(REGION)).map((its) => its.maxInstances * Number(its.cpu));
    expect(Math.max(...most)).toBeLessThanOrEqual(10);
  });

  it("run with what the CLI passes to them", () => {
    expect(
      readConfig({
        ...answers(),
        GOOGLE_CLOUD_PROJECT: PROJECT,
        OAUTH_CLIENT_SECRET: "GOCSPX-secret",
        TOKEN_KEYS: JSON.stringify({ primary: "a", keys: { a: "A".repeat(43) + "=" } }),
        RETURN_TO_SECRET: "none",
        NOTICE_SMTP_URL: "none",
        OTEL_EXPORTER_OTLP_HEADERS: "none",
      }),
    ).toMatchObject({ gmail: { topic: answers().GMAIL_TOPIC } });
  });

  it("get an account without rights to any database: a command grants that, with a condition", () => {
    expect(manifest.requiredRoles).toEqual(["roles/pubsub.publisher", "roles/run.invoker"]);
  });
});

describe(".env.example", () => {
  const text = readFileSync(path.join(ROOT, "infra/.env.example"), "utf8");
  /** With everything in it that is only shown. */
  const all = text.replaceAll(/^#(?=[A-Z_]+=)/gm, "");

  it("reads the same for both tools", () => {
    for (const each of [text, all])
      expect(readDotenv(each)).toEqual({ envs: parseEnv(each), errors: [] });
  });

  it("names only existing settings, none of them secret, all with valid values", () => {
    const shown = parseEnv(all);
    // Of the tools that deploy.
    expect(Object.keys(shown).filter((name) => !VARIABLE_NAMES.includes(name))).toEqual([
      "INVOKER_IAM_CHECK",
      "REGION",
    ]);
    const secrets = Object.values(settings).flatMap((its) => its.secrets);
    expect(Object.keys(shown).filter((name) => secrets.includes(name))).toEqual([]);
    // NOTICE_FROM goes with a secret.
    expect(problemsOf(shown).filter((problem) => !problem.endsWith("is not set"))).toEqual([
      "NOTICE_SMTP_URL is not set, NOTICE_FROM is",
    ]);
  });
});

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
