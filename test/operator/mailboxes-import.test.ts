import { existsSync } from "node:fs";
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Ports } from "../../functions/src/context.ts";
import { connect } from "../gmail-emulator/application.ts";
import { GMAIL_SCOPES } from "../gmail-emulator/scopes.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { mortalLife } from "./mortal.ts";
import { type CommandOptions, runCommand } from "./operator-cli.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const CYD = "cyd@example.com";
const SIGN_IN = "openid email";
const SCOPE = `${SIGN_IN} ${GMAIL_SCOPES.metadata}`;
const HOUR_MS = 3_600_000;

let scenario: Scenario;
let folder: string;
let file: string;

async function start(env: Record<string, string> = {}): Promise<void> {
  scenario = await startScenario({ env });
}

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "import-"));
  file = path.join(folder, "grants.ndjson");
  await start();
});
afterEach(async () => {
  await scenario.close();
  await rm(folder, { recursive: true });
});

/** A person of this address allows another program to use the same OAuth client. */
async function grantElsewhere(email: string, scope = SCOPE, exists = false): Promise<string> {
  if (!exists) scenario.emulator.createAccount({ email });
  const redirect_uri = `${scenario.publicUrl}/callback`;
  return (await connect(scenario.emulator, email, { scope, redirect_uri, prompt: "consent" }))
    .refreshToken;
}

async function write(...lines: (object | string)[]): Promise<void> {
  const text = lines
    .map((line) => (typeof line === "string" ? line : JSON.stringify(line)))
    .join("\n");
  await writeFile(file, `${text}\n`, { mode: 0o600 });
}

async function run(own: Partial<Ports> = {}, options: CommandOptions = {}) {
  const result = await runCommand(
    (log) => scenario.operator({ ...own, log }),
    ["import", file, "--json"],
    options,
  );
  const written = [
    ...result.lines,
    ...result.notes,
    ...result.logged.map((line) => JSON.stringify(line)),
  ];
  for (const secret of scenario.emulator.secretsIssued()) {
    expect(written.join("\n")).not.toContain(secret);
  }
  return {
    ...result,
    json: result.lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

const types = (email: string) =>
  scenario.events(email).map(({ attributes }) => attributes["ce-type"]);

describe("mailboxes import", () => {
  it("connects a mailbox as a sign-in does, with its tags", async () => {
    const refreshToken = await grantElsewhere(ADA);
    await write("", { refreshToken, tags: { tenant: "acme" } });
    const { code, json, logged } = await run();
    const user = scenario.stored(ADA);
    expect(code).toBe(0);
    expect(json).toEqual([
      { command: "import", line: 2, outcome: "adopted", userId: user.id },
      {
        command: "import",
        isDone: true,
        outcome: "imported",
        grants: { adopted: 1, adopted_before: 0, known: 0, refused: 0, failed: 0 },
      },
    ]);
    expect(user).toMatchObject({
      status: "active",
      tags: { tenant: "acme" },
      grant: { generation: 1, clientId: scenario.config.oauth.clientId },
    });
    expect(user.grant.scopes).toContain(GMAIL_SCOPES.metadata);
    expect(user.watch.renewAt).toBeDefined();
    expect(types(ADA)).toEqual(["mailbox.connected"]);
    expect(scenario.events(ADA)[0]?.attributes).toMatchObject({
      "ce-id": `${user.id}/connected/1`,
      "tag-tenant": "acme",
    });
    expect(logged.map(({ event }) => event)).toEqual([
      "operator_command",
      "user_connected",
      "operator_command_ended",
    ]);

    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.events(ADA).at(-1)?.json).toMatchObject({ messageId });
    expect(existsSync(`${file}.rotated`)).toBe(false);
  });

  it("continues from a given history id, so that nothing is missed in between", async () => {
    const refreshToken = await grantElsewhere(ADA);
    const { historyId } = scenario.emulator.account(ADA);
    const missed = [1, 2, 3].map(() => scenario.emulator.deliver(ADA).messageId);
    await write({ refreshToken, historyId });
    expect((await run()).code).toBe(0);
    expect(scenario.events(ADA).map(({ json }) => json["messageId"])).toEqual([
      ...missed,
      undefined,
    ]);
    expect(scenario.events(ADA).at(-1)?.json).toMatchObject({ recoveredChanges: 3 });
  });

  it("tells the gap when the history after the given id has expired", async () => {
    const refreshToken = await grantElsewhere(ADA);
    const { historyId } = scenario.emulator.account(ADA);
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    await write({ refreshToken, historyId });
    expect((await run()).code).toBe(0);
    for (let runs = 0; runs < 5; runs++) await scenario.reconcileAfter(HOUR_MS);
    const gap = scenario.events(ADA).find(({ json }) => json["fromHistoryId"] !== undefined);
    expect(gap?.json).toMatchObject({ fromHistoryId: historyId, reason: "history_expired" });
  });

  it("changes nothing when it is run again, and calls Google for no stored grant", async () => {
    await write({ refreshToken: await grantElsewhere(ADA) });
    await run();
    const { dump } = scenario.users;
    const before = structuredClone(dump().users);
    scenario.emulator.resetCalls();
    const { code, json } = await run();
    expect(code).toBe(0);
    expect(json[0]).toMatchObject({ outcome: "adopted_before", userId: before[0]?.id });
    expect(dump().users).toEqual(before);
    expect(scenario.emulator.calls).toEqual([]);
    expect(types(ADA)).toEqual(["mailbox.connected"]);
  });

  it("leaves the newer grant of a person who has connected meanwhile", async () => {
    await write({ refreshToken: await grantElsewhere(ADA) });
    await scenario.connect(ADA, { exists: true });
    const before = structuredClone(scenario.stored(ADA));
    const { code, json } = await run();
    expect(code).toBe(0);
    expect(json[0]).toMatchObject({ outcome: "known", userId: before.id, status: "active" });
    expect(scenario.stored(ADA)).toEqual(before);
  });

  it("leaves the grant of a person who connects while theirs is adopted", async () => {
    await write({ refreshToken: await grantElsewhere(ADA) });
    const { create } = scenario.users;
    const users = {
      ...scenario.users,
      async create(...args: Parameters<typeof create>) {
        await scenario.connect(ADA, { exists: true });
        return create(...args);
      },
    };
    const { code, json } = await run({ users });
    expect(code).toBe(0);
    expect(json[0]).toMatchObject({ outcome: "known", status: "active" });
    expect(scenario.stored(ADA).grant.generation).toBe(1);
    expect(types(ADA)).toEqual(["mailbox.connected"]);
  });

  it("does not connect a person again who has left, or whom the operator has suspended", async () => {
    await scenario.close();
    await start({ DISCONNECT_REVOKES: "false" });
    const left = await grantElsewhere(ADA);
    const suspended = await grantElsewhere(BOB);
    await write({ refreshToken: left }, { refreshToken: suspended });
    await run();
    const { id } = scenario.stored(ADA);
    await scenario.users.update(await scenario.read(ADA), {
      status: "disconnected",
      statusReason: "user_request",
    });
    const flag = ["flag", BOB, "--reason", "abuse", "--yes"];
    await runCommand((log) => scenario.operator({ log }), flag);
    const { code, json } = await run();
    expect(code).toBe(0);
    expect(json.slice(0, 2)).toMatchObject([
      { userId: id },
      { outcome: "known", status: "reauthorization_required" },
    ]);
    expect(scenario.stored(ADA).status).toBe("disconnected");
    expect(scenario.stored(BOB).status).toBe("reauthorization_required");
  });

  it("names what it refuses by line and reason, and adopts the rest", async () => {
    await scenario.close();
    await start({ ALLOWED_DOMAINS: "example.com" });
    const { emulator } = scenario;
    const ended = await grantElsewhere(BOB);
    emulator.revokeAccess(BOB);
    for (const [email, emailVerified, hostedDomain] of [
      [ADA, true, "example.com"],
      [CYD, false, "example.com"],
      ["dan@example.com", true, "example.org"],
      ["eve@example.com", true, "example.com"],
      ["fay@example.com", true, "example.com"],
    ] as const) {
      emulator.createAccount({ email, emailVerified, hostedDomain });
    }
    const grant = (email: string, scope?: string) => grantElsewhere(email, scope, true);
    await write(
      { refreshToken: ended },
      { refreshToken: await grant(CYD) },
      { refreshToken: await grant("dan@example.com") },
      { refreshToken: await grant("eve@example.com", GMAIL_SCOPES.metadata) },
      { refreshToken: await grant("fay@example.com", `${SIGN_IN} ${GMAIL_SCOPES.send}`) },
      { refreshToken: "1//0never-issued" },
      { refreshToken: await grant(ADA) },
    );
    const { code, json, notes } = await run();
    expect(code).toBe(1);
    expect(json.slice(0, -1).map(({ line, reason }) => [line, reason])).toEqual(
      expect.arrayContaining([
        [1, "invalid_grant"],
        [2, "address_unverified"],
        [3, "domain_refused"],
        [4, "identity_missing"],
        [5, "scopes_missing"],
        [6, "invalid_grant"],
        [7, undefined],
      ]),
    );
    expect(json.at(-1)).toMatchObject({ isDone: false, grants: { adopted: 1, refused: 6 } });
    expect(notes[0]).toBe("error: import is not done: 6 lines are left");
    expect(scenario.users.dump().users.map(({ emailAddress }) => emailAddress)).toEqual([ADA]);
    // Another program may still use them.
    expect(emulator.countCalls("revoke")).toBe(0);
    expect(emulator.account(CYD).refreshTokens).toHaveLength(1);
  });

  it("takes the address from Gmail when the grant has no scope email, and a wider Gmail scope", async () => {
    await write({ refreshToken: await grantElsewhere(ADA, `openid ${GMAIL_SCOPES.modify}`) });
    expect((await run()).code).toBe(0);
    expect(scenario.stored(ADA)).toMatchObject({ emailAddress: ADA, status: "active" });
  });

  it("stops when Google rejects the OAuth client, and continues when it is run again", async () => {
    const emails = Array.from({ length: 20 }, (_, index) => `user${index}@example.com`);
    const grants: object[] = [];
    for (const email of emails) grants.push({ refreshToken: await grantElsewhere(email) });
    await write(...grants);
    const { clientId, clientSecret } = scenario.config.oauth;
    scenario.emulator.setClientSecret(clientId, "GOCSPX-another");
    scenario.emulator.resetCalls();
    const { code, json } = await run();
    expect(code).toBe(1);
    expect(json.at(-1)).toMatchObject({ grants: { failed: 20 } });
    expect(scenario.emulator.countCalls("token")).toBeLessThanOrEqual(8);
    scenario.emulator.setClientSecret(clientId, clientSecret);
    expect((await run()).json.at(-1)).toMatchObject({ isDone: true, grants: { adopted: 20 } });
  });

  it.each(["revived by the journal", "lost without it"])(
    "keeps a refresh token that Google replaces before the grant is stored: %s",
    async (how) => {
      await write({ refreshToken: await grantElsewhere(ADA) });
      Object.assign(scenario.emulator.settings, {
        refreshTokenRotations: 1,
        rotatedTokenDies: true,
      });
      const users = {
        ...scenario.users,
        create: () => Promise.reject(new Error("the store is down")),
      };
      const first = await run({ users });
      expect(first.code).toBe(1);
      expect(first.notes.join("\n")).toContain(`keep ${file}.rotated`);
      const journal = await readFile(`${file}.rotated`, "utf8");
      for (const secret of scenario.emulator.secretsIssued()) expect(journal).not.toContain(secret);
      const isKept = how === "revived by the journal";
      if (!isKept) await rm(`${file}.rotated`);
      const { code, json } = await run();
      expect(code).toBe(isKept ? 0 : 1);
      expect(json[0]).toMatchObject(
        isKept ? { outcome: "adopted" } : { outcome: "refused", reason: "invalid_grant" },
      );
      expect(existsSync(`${file}.rotated`)).toBe(isKept);
      expect((await run()).json[0]).toMatchObject({
        outcome: isKept ? "adopted_before" : "refused",
      });
    },
  );

  it("ignores the last line of a journal that a dying program has left unfinished", async () => {
    await write({ refreshToken: await grantElsewhere(ADA) });
    await writeFile(`${file}.rotated`, '{"digest":"0a", "seal');
    expect((await run()).code).toBe(0);
  });

  it("stores a replaced token of a person who is stored with the old one", async () => {
    const refreshToken = await grantElsewhere(ADA);
    await write({ refreshToken });
    await run();
    const { id, grant } = await scenario.read(ADA);
    const { refreshTokenDigests: _, ...older } = grant;
    await scenario.users.update(await scenario.read(ADA), { grant: older });
    Object.assign(scenario.emulator.settings, { refreshTokenRotations: 1, rotatedTokenDies: true });
    expect((await run()).json[0]).toMatchObject({ outcome: "adopted_before", userId: id });
    scenario.emulator.expireAccessTokens(ADA);
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.events(ADA).at(-1)?.json).toMatchObject({ messageId });
  });
});

it("stores a replaced token although the run that received it has died", async () => {
  const refreshToken = await grantElsewhere(ADA);
  await write({ refreshToken });
  const { findByTokenDigest } = scenario.users;
  const { settings } = scenario.emulator;
  // Another run of the command stores the grant while this one refreshes it, which then dies.
  const dying = {
    ...scenario.users,
    async findByTokenDigest(...args: Parameters<typeof findByTokenDigest>) {
      const found = await findByTokenDigest(...args);
      await runCommand((log) => scenario.operator({ log }), ["import", `${file}.copy`]);
      Object.assign(settings, { refreshTokenRotations: 1, rotatedTokenDies: true });
      return found;
    },
    create: () => Promise.reject(new Error("died")),
    update: () => Promise.reject(new Error("died")),
  };
  await copyFile(file, `${file}.copy`);
  await run({ users: dying });
  const { id } = scenario.stored(ADA);
  expect((await run()).json[0]).toMatchObject({ outcome: "adopted_before", userId: id });
  scenario.emulator.expireAccessTokens(ADA);
  const { messageId } = scenario.emulator.deliver(ADA);
  await scenario.settled();
  expect(scenario.stored(ADA).status).toBe("active");
  expect(scenario.events(ADA).at(-1)?.json).toMatchObject({ messageId });
});

describe("the file of mailboxes import", () => {
  it("is checked whole, and every bad line is named without its content", async () => {
    const refreshToken = await grantElsewhere(ADA);
    scenario.emulator.resetCalls();
    await write(
      { refreshToken },
      "not JSON: 1//0secret-text",
      { token: "1//0secret-text" },
      { refreshToken: "1//0 secret-text" },
      { refreshToken: "1//0a", historyId: "-1" },
      { refreshToken: "1//0b", tags: { "No Tag": "secret-text" } },
      { refreshToken: "1//0c", accessToken: "secret-text" },
      { refreshToken },
    );
    const { code, lines, notes } = await run();
    expect(code).toBe(2);
    expect(lines).toEqual([]);
    const text = notes.join("\n");
    for (const line of [2, 3, 4, 5, 6, 7, 8]) expect(text).toContain(`  line ${line}: `);
    expect(text).toContain("line 8: the token of line 1");
    expect(text).not.toContain("secret-text");
    expect(scenario.emulator.calls).toEqual([]);
    expect(scenario.users.dump().users).toEqual([]);
  });

  it.each([
    ["missing", async () => {}],
    ["empty", () => write("")],
  ])("ends the command with 2 when it is %s", async (_, prepare) => {
    await prepare();
    expect((await run()).code).toBe(2);
  });

  it("is reported when other users of the machine may read it", async () => {
    await write({ refreshToken: await grantElsewhere(ADA) });
    await chmod(file, 0o644);
    expect((await run()).notes[0]).toMatch(/^warning: other users of this machine may read/);
  });
});

describe.each(["before", "after"] as const)("mailboxes import that dies %s an effect", (when) => {
  it("is finished by the same command, and connects each mailbox once", async () => {
    const met = new Set<string>();
    for (let diesAt = 1; ; diesAt++) {
      const email = `user${diesAt}@example.com`;
      await write({ refreshToken: await grantElsewhere(email) });
      const life = mortalLife(diesAt, when);
      await run({
        users: life.bind(scenario.users),
        publish: life.bind({ publish: scenario.topic.publish }).publish,
        gmail: life.bind(scenario.google.gmail),
        oauth: life.bind(scenario.google.oauth),
      });
      for (const effect of life.effects) met.add(effect);
      await run();
      scenario.clock.advance(HOUR_MS / 6);
      await scenario.runSchedule("mailboxReconciliation");
      const user = scenario.stored(email);
      expect(user).toMatchObject({ status: "active", grant: { generation: 1 } });
      expect(user.followUp.announced).toEqual({ status: "active", generation: 1 });
      expect(types(email)).toEqual(["mailbox.connected"]);
      const { messageId } = scenario.emulator.deliver(email);
      await scenario.settled();
      expect(scenario.events(email).at(-1)?.json).toMatchObject({ messageId });
      if (!life.isOver) break;
      expect(diesAt).toBeLessThan(40);
    }
    expect([...met]).toEqual(
      expect.arrayContaining(["findByTokenDigest", "refresh", "watch", "create", "publish"]),
    );
  });
});
