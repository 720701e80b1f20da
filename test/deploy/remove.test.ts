import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isHad } from "../support/emulator-source.ts";
import { type Cloud, PROJECT, dryRun, emptyCloud } from "./deploy-script.ts";
import { findGcloudSdk, tryCommands } from "./gcloud-sdk.ts";

/** Goal: a deployment goes away without a trace of its rights, and nothing that it cannot make again does. */

const SETTINGS = "OAUTH_CLIENT_ID=123-abc.apps.googleusercontent.com\n";
const made = (calls: string[]) =>
  calls
    .filter((call) => !call.startsWith("gcloud beta"))
    .flatMap((call) => {
      const [, thing, flags = ""] =
        /^gcloud (.*) create (?:http )?(\S+.*)$/.exec(call) ??
        /^gcloud (functions) deploy (\S+)/.exec(call) ??
        [];
      return thing === undefined ? [] : [`${thing} ${flags.split(" ")[0]}`];
    });

describe("deploy.sh --remove", { timeout: 300_000 }, () => {
  let cloud: Cloud;
  let created: string[];
  let keys: string;
  beforeAll(async () => {
    cloud = await emptyCloud(SETTINGS);
    await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    await cloud.deploy();
    created = made(await cloud.calls());
    keys = await cloud.secret("TOKEN_KEYS");
  }, 300_000);
  afterAll(() => cloud.close());

  it("removes what it created, but for the data, the keys and the changes, and says so", async () => {
    const { succeeded, output } = await cloud.deploy({ args: ["--remove"] });
    expect(succeeded).toBe(true);
    const removed = (await cloud.calls()).flatMap((call) => {
      const [, thing, name] = /^gcloud (.*) delete (\S+)/.exec(call) ?? [];
      return thing === undefined ? [] : [`${thing} ${name?.replace(/@.*/, "")}`];
    });
    const left = created.filter((each) => !removed.includes(each));
    expect(left.toSorted()).toEqual([
      "firestore databases --database=gmail-push",
      "kms keyrings gmail-push-receiver",
      "kms keys token-keys",
      "pubsub topics mailbox-changes",
      "secrets NOTICE_SMTP_URL",
      "secrets OTEL_EXPORTER_OTLP_HEADERS",
      "secrets RETURN_TO_SECRET",
      "secrets TOKEN_KEYS",
    ]);
    expect(removed.filter((each) => !created.includes(each))).toEqual([]);
    expect(output).toContain("without them no grant opens");
    expect(output).toContain("gcloud firestore databases delete --database=gmail-push");
  });

  it("finds nothing to remove when it is run again", async () => {
    expect(await cloud.deploy({ args: ["--remove"] })).toMatchObject({ succeeded: true });
    expect((await cloud.calls()).filter((call) => / delete /.test(call))).toEqual([]);
  });

  it("leaves enough to go on with the same keys", async () => {
    expect(await cloud.deploy()).toMatchObject({ succeeded: true });
    await cloud.calls();
    expect(await cloud.secret("TOKEN_KEYS")).toBe(keys);
  });

  it.each([
    ["describe connect", "ERROR: (gcloud) There was a problem: connection reset"],
    ["remove-iam-policy-binding token-keys", "ERROR: (gcloud) PERMISSION_DENIED"],
  ])("does not take an error for something that is gone: %s", async (part, said) => {
    await cloud.refuse(part, said);
    const { succeeded, output } = await cloud.deploy({ args: ["--remove"] });
    await cloud.allow();
    expect(succeeded).toBe(false);
    expect(output).toContain(said);
    expect(output).not.toContain("What stays");
  });

  it("removes nothing of a receiver in another region", async () => {
    await cloud.calls();
    await cloud.giveReceiverIn("europe-west1");
    const { succeeded, output } = await cloud.deploy({ args: ["--remove"] });
    await cloud.giveReceiverIn("us-central1");
    expect(succeeded).toBe(false);
    expect(output).toContain("Run it again with --region europe-west1");
    expect((await cloud.calls()).filter((call) => / delete |remove-iam/.test(call))).toEqual([]);
  });

  it("removes nothing where connect is another application's", async () => {
    await cloud.giveConnect({ GREETING: "hello" });
    const { succeeded, output } = await cloud.deploy({ args: ["--remove"] });
    expect(succeeded).toBe(false);
    expect(output).toContain("nothing was removed");
    expect((await cloud.calls()).filter((call) => / delete |remove-iam/.test(call))).toEqual([]);
  });

  const sdk = findGcloudSdk();
  it.skipIf(!isHad(sdk))("prints commands that gcloud accepts", () => {
    if (sdk.kind === "missing") throw new Error(sdk.why);
    const folder = mkdtempSync(path.join(tmpdir(), "remove-"));
    const file = path.join(folder, ".env");
    writeFileSync(file, SETTINGS);
    const { commands } = dryRun(file, "--remove");
    rmSync(folder, { recursive: true });
    expect(commands.join("\n")).toContain(`gcloud functions delete connect`);
    expect(commands.every((command) => command.includes(`--project=${PROJECT}`))).toBe(true);
    expect(tryCommands(sdk, commands).filter(({ end }) => end !== "ok")).toEqual([]);
  });
});
