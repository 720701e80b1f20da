import { readFile } from "node:fs/promises";
import { parseEnv } from "node:util";
import { Timestamp } from "@google-cloud/firestore";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Finding } from "../../infra/cli/doctor/checks.ts";
import {
  type FirebaseStack,
  findFirebaseStack,
  startFirebaseStack,
} from "../local/firebase-stack.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { isHad } from "../support/emulator-source.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { runInfra } from "../support/infra-command.ts";

const isStackHad = isHad(findFirebaseStack());
const ADA = "ada@example.com";

/** Over the wire: Firestore's and Pub/Sub's own emulators, and the functions in the Firebase CLI's. */
describe.skipIf(!isStackHad)("npm run doctor, of the local stack", () => {
  let stack: FirebaseStack;
  const args: string[] = ["--local"];

  beforeAll(async () => {
    stack = await startFirebaseStack();
    args.push(stack.operatorEnvFile);
    stack.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const toGoogle = await browser.get(`${stack.publicUrl}/start`);
    const { status } = await throughGoogle(stack.emulator, browser, toGoogle, { account: ADA });
    if (status !== 200) throw new Error("nobody could connect");
  });
  afterAll(() => stack?.close());

  const doctor = (...own: string[]) => runInfra("doctor", [...args, ...own]);
  const read = (stdout: string) => (JSON.parse(stdout) as { findings: Finding[] }).findings;

  it("finds nothing wrong, and says what the local stack lacks", async () => {
    const { code, stdout, stderr } = await doctor("--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const findings = read(stdout);
    const named = (kind: string) =>
      findings.filter((each) => each.kind === kind).map(({ check }) => check);
    expect(named("ok")).toEqual([
      "configuration",
      "token-keys",
      "gmail-topic",
      "changes-topic",
      "public-url",
      "oauth-client",
      "redirect-uri",
      "mail-server",
      "users",
    ]);
    expect(named("absent")).toHaveLength(findings.length - 9);
    const keys = findings.find(({ check }) => check === "token-keys");
    expect(keys).toMatchObject({ said: expect.stringContaining("1 users looked at") });
    const secrets = Object.values(parseEnv(await readFile(stack.operatorEnvFile, "utf8")));
    const hidden = secrets.filter((value) => /GOCSPX|keys/.test(value ?? ""));
    expect(hidden).toHaveLength(2);
    expect(findSecrets(stdout, hidden as string[])).toEqual([]);
  });

  it("sees a mail arrive, and sends none itself", async () => {
    const waiting = doctor("--only", "mailbox", "--mailbox", ADA, "--wait", "60");
    // The doctor has read the user before the mail arrives, or the mail would be what it compares with.
    const deliveries = setInterval(() => stack.emulator.deliver(ADA, { subject: "hello" }), 2_000);
    const { code, stdout, stderr } = await waiting;
    clearInterval(deliveries);
    expect(stdout).toContain(`a change of ${ADA} came through`);
    expect(stderr).toBe(`Send a mail to ${ADA} now. Waiting for 60 s at most.\n`);
    expect(code).toBe(0);
  });

  it("says that no mail arrived, and that no mailbox is connected", async () => {
    stack.emulator.loseNotifications("all");
    const lost = await doctor("--only", "mailbox", "--mailbox", ADA, "--wait", "2");
    expect(lost.code).toBe(1);
    expect(lost.stdout).toContain(`no notification of ${ADA} was served`);
    const nobody = await doctor("--only", "mailbox", "--mailbox", "bob@example.com");
    expect(nobody.code).toBe(1);
    expect(nobody.stdout).toContain("bob@example.com is not connected");
  });

  it("counts users who are late, and users who are too late", async () => {
    const hourAgo = (hours: number) => Timestamp.fromMillis(Date.now() - hours * 3_600_000);
    const late = stack.database.doc("users/late");
    await late.set({ sync: { dueAt: hourAgo(1) } });
    const waits = await doctor("--only", "users", "--json");
    expect(waits.code).toBe(0);
    expect(read(waits.stdout)[0]).toMatchObject({
      kind: "warning",
      problems: [{ what: expect.stringMatching(/^1 mailboxes wait/) }],
    });
    await late.set({ watch: { renewAt: hourAgo(150), expiresAt: hourAgo(1) } });
    const lapsed = await doctor("--only", "users");
    expect(lapsed.code).toBe(1);
    expect(lapsed.stdout).toContain("1 watches have ended");
    await late.delete();
  });

  it("names a missing topic, an unknown client and missing settings", async () => {
    const env = { FIRESTORE_EMULATOR_HOST: stack.firestoreHost };
    const file = await readFile(stack.operatorEnvFile, "utf8");
    const set = { ...(parseEnv(file) as Record<string, string>), ...env };
    const wrong = {
      ...set,
      GMAIL_TOPIC: "projects/demo-gmail-push/topics/gone",
      OAUTH_CLIENT_SECRET: "x",
    };
    const { code, stdout } = await runInfra("doctor", ["--local", "--json"], { env: wrong });
    expect(code).toBe(1);
    const failed = read(stdout).filter(({ kind }) => kind === "failed");
    expect(failed.map(({ check }) => check)).toEqual(["gmail-topic", "oauth-client"]);
    const unset = await runInfra("doctor", ["--only", "configuration"], { env });
    expect(unset.code).toBe(1);
    expect(unset.stdout).toContain("PUBLIC_URL is not set");
    expect(unset.stdout).toContain("TOKEN_KEYS is not set");
  });
});
