import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Finished, runInfra } from "../support/infra-command.ts";
import { runProgram } from "./operator-cli.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

/** The command as an operator runs it, against Google on loopback. */
describe("npm run risc", () => {
  let scenario: Scenario;
  let folder: string;
  let keyFile: string;

  beforeEach(async () => {
    scenario = await startScenario();
    folder = await mkdtemp(path.join(tmpdir(), "risc-"));
    keyFile = path.join(folder, "key.json");
    const key = scenario.emulator.createServiceAccount("risc@demo-gmail-push.iam.example.com");
    await writeFile(keyFile, JSON.stringify(key));
  });
  afterEach(async () => {
    await scenario.close();
    await rm(folder, { recursive: true });
  });

  async function risc(
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<Finished> {
    const { code, lines, notes } = await runProgram(["risc", ...args], {
      env: { GMAIL_EMULATOR_HOST: scenario.emulator.host, ...env },
    });
    return { code, stdout: lines.join("\n"), stderr: notes.join("\n") };
  }

  const withKey = (...args: string[]) => risc(["--key-file", keyFile, ...args]);

  it("registers the receiver, has Google send a test event, and the receiver logs its state", async () => {
    const url = scenario.urls.securityEvent;
    expect(await withKey("status")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Register first"),
    });
    expect(await withKey("register", "--url", url)).toMatchObject({ code: 0, stderr: "" });

    const { code, stdout } = await withKey("status");
    expect(code).toBe(0);
    expect(stdout).toContain("status  enabled");
    expect(stdout).toContain(url);
    expect(stdout).toContain("oauth/event-type/tokens-revoked");
    expect(stdout).not.toContain("missing");
    const { stdout: json } = await withKey("status", "--json");
    expect(JSON.parse(json)).toMatchObject({ status: "enabled", url, missing: [] });

    expect(await withKey("verify", "--state", "is it on?")).toMatchObject({ code: 0, stderr: "" });
    expect(scenario.logged("security_event_received")).toMatchObject([
      { events: ["verification"], state: "is it on?" },
    ]);
    expect(scenario.logged("security_event_refused")).toEqual([]);
  });

  it("disables the stream and enables it again", async () => {
    await withKey("register", "--url", scenario.urls.securityEvent);
    expect(await withKey("disable")).toMatchObject({ code: 0 });
    expect((await withKey("status")).stdout).toContain("status  disabled");
    await withKey("verify");
    expect(scenario.logged("security_event_received")).toEqual([]);
    expect(await withKey("enable")).toMatchObject({ code: 0 });
    expect((await withKey("status")).stdout).toContain("status  enabled");
  });

  it("runs as a program with a service account from the default credentials", async () => {
    const env = {
      GMAIL_EMULATOR_HOST: scenario.emulator.host,
      GOOGLE_APPLICATION_CREDENTIALS: keyFile,
    };
    const run = (...args: string[]) => runInfra("risc", args, { env });
    const url = scenario.urls.securityEvent;
    expect(await run("register", "--url", url)).toMatchObject({ code: 0, stderr: "" });
    expect(await run("register", "--url", "https://receiver-abc.run.app/")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("authorized domains"),
    });
  });

  it("says what to do when the URL is on no authorized domain", async () => {
    const outcome = await withKey("register", "--url", "https://receiver-abc.run.app/");
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain("(403)");
    expect(outcome.stderr).toContain("authorized domains");
  });

  it("says what to do when Firebase Authentication owns the stream", async () => {
    scenario.emulator.setStreamOwner("firebase");
    const outcome = await withKey("register", "--url", scenario.urls.securityEvent);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain("Firebase Authentication");
  });

  it("distinguishes a rejected service account, a broken key file and no response from Google", async () => {
    const stranger = await startScenario();
    const env = { GMAIL_EMULATOR_HOST: stranger.emulator.host };
    const refused = await risc(["--key-file", keyFile, "status"], env);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("(401)") });
    await stranger.close();
    const silent = await risc(["--key-file", keyFile, "status"], env);
    expect(silent).toMatchObject({ code: 1, stderr: expect.stringContaining("does not answer") });

    await writeFile(keyFile, '{"type":"service_account","private_key":"very secret"');
    const broken = await withKey("status");
    expect(broken).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("is not the key of a service account"),
    });
    expect(broken.stderr).not.toContain("very secret");
  });

  it("names the way that needs no key when there are no credentials", async () => {
    vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", path.join(folder, "none.json"));
    const { code, stderr } = await risc(["status"]);
    vi.unstubAllEnvs();
    expect(code).toBe(1);
    expect(stderr).toContain("gcloud auth application-default login --impersonate-service-account");
  });

  it("exits with 2 when it is used incorrectly, and prints help", async () => {
    for (const args of [[], ["register"], ["register", "--url", "nowhere"], ["unknown"]]) {
      expect((await risc(args)).code).toBe(2);
    }
    expect(await risc(["status"], { GMAIL_EMULATOR_HOST: "example.com:80" })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("loopback"),
    });
    const help = await risc(["--help"]);
    expect(help.code).toBe(0);
    for (const command of ["register", "status", "verify", "enable", "disable"]) {
      expect(help.stdout).toContain(command);
    }
  });
});
