import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Operator } from "../../infra/cli/operator.ts";
import type { Environment } from "../../infra/cli/session.ts";
import { type CloudEmulator, startCloudEmulator } from "../cloud-emulator/emulator.ts";
import { PROJECT, REGION, healthyProject } from "../cloud-emulator/project.ts";
import { memoryUsers } from "../support/memory-users.ts";
import { tokenKeys } from "../support/test-keys.ts";
import { addressOf, putUser } from "../support/users.ts";
import { runCommand, runProgram } from "./operator-cli.ts";

/** Goal: an operator who has only the project's id works on what was deployed there. */

describe("mailboxes --project", () => {
  let cloud: CloudEmulator;
  /** What the store was opened with. */
  let opened: Environment | undefined;

  beforeEach(async () => {
    opened = undefined;
    cloud = await startCloudEmulator(
      healthyProject({
        madeBy: "deploy.sh",
        securityEventUrl: "https://security-event.example/",
        env: {
          GMAIL_TOPIC: `projects/${PROJECT}/topics/gmail-notifications`,
          CHANGES_TOPIC: "mailbox-changes",
          PUBLIC_URL: "https://push.example",
          OAUTH_CLIENT_ID: "1234-abc.apps.googleusercontent.com",
          OAUTH_CLIENT_SECRET: "GOCSPX-of-the-deployment",
          TOKEN_KEYS: tokenKeys("2026-11"),
        },
      }),
    );
  });
  afterEach(() => cloud.close());

  const users = memoryUsers();
  const open = (log: Operator["log"], settings: Environment): Operator => {
    opened = settings;
    return {
      users,
      clock: { now: () => new Date(), sleep: () => Promise.resolve() },
      log,
      getKeyRing: () => Promise.reject(new Error("the keys were asked for")),
      getContext: () => Promise.reject(new Error("the keys were asked for")),
      close: () => Promise.resolve(),
    };
  };
  const run = (args: string[], env: Record<string, string> = {}) =>
    runCommand(open, ["--project", PROJECT, "--region", REGION, ...args], {
      env: { GOOGLE_CLOUD_EMULATOR_HOST: cloud.host, ...env },
    });

  it("needs no setting: it reads those of the functions, the secrets among them", async () => {
    expect(await run(["stats"])).toMatchObject({ code: 0 });
    expect(opened).toMatchObject({
      GOOGLE_CLOUD_PROJECT: PROJECT,
      PUBLIC_URL: "https://push.example",
      OAUTH_CLIENT_SECRET: "GOCSPX-of-the-deployment",
    });
  });

  it("takes nothing from a shell that is set up for another deployment", async () => {
    const other = { CHANGES_DETAIL: "headers", PUBLIC_URL: "https://b.example" };
    expect(await run(["stats"], other)).toMatchObject({ code: 0 });
    expect(opened).toMatchObject({ PUBLIC_URL: "https://push.example" });
    expect(opened?.["CHANGES_DETAIL"]).toBeUndefined();
  });

  it("shows mailboxes without the keys, and says why it cannot act", async () => {
    await putUser(users, "1", { emailAddress: addressOf("ada@example.com") });
    cloud.state.denied = /secrets.*:access$/;
    expect(await run(["show", "1"])).toMatchObject({ code: 0 });
    const { code, notes } = await run(["sync", "1"]);
    expect(code).toBe(1);
    expect(notes.join("\n")).toMatch(/error: (TOKEN_KEYS|OAUTH_CLIENT_SECRET) could not be read/);
  });

  it("stops where nothing is deployed, and at what is no project id", async () => {
    const elsewhere = await run(["--region", "europe-west1", "stats"]);
    expect(elsewhere.notes.join("\n")).toContain("no function is deployed");
    expect(elsewhere.code).not.toBe(0);
    const { code, notes } = await run(["--project", "!", "stats"]);
    expect([code, notes]).toEqual([2, ["error: --project needs a project id"]]);
    expect(opened).toBeUndefined();
  });

  it("is the same for keys", async () => {
    const args = ["keys", "--project", PROJECT, "--region", REGION, "verify"];
    const env = { GOOGLE_CLOUD_EMULATOR_HOST: cloud.host };
    await runProgram(args, { env }, open);
    expect(opened).toMatchObject({ OAUTH_CLIENT_SECRET: "GOCSPX-of-the-deployment" });
  });
});
