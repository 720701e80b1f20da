import { type Sealed, type User } from "../../functions/src/domain/user.ts";
import assert from "node:assert/strict";
import { createDecipheriv, hkdfSync } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keyIdOf, open, seal } from "../../functions/src/crypto/sealing.ts";
import { ok } from "../../functions/src/domain/result.ts";
import { openBrowser } from "../support/browser.ts";
import { findSecrets } from "../support/find-secrets.ts";
import type { StoredUser } from "../support/memory-users.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";
import { keyRing, ringOf, sealWith, tokenKeys } from "../support/test-keys.ts";

/**
 * Goal: what is stored of a token is useless without the key ring, and a value that does not open
 * alerts the operator: no user is flagged, nothing is lost, and the mailbox continues once it is fixed.
 */

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const HOUR_MS = 3_600_000;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario({ env: { TOKEN_KEYS: tokenKeys("a") } });
});
afterEach(() => scenario.close());

/** Changes the stored document behind everybody's back. */
async function tamper(
  email: string,
  change: (user: StoredUser) => Partial<User["grant"]>,
): Promise<void> {
  const user = scenario.stored(email);
  const grant = { ...user.grant, ...change(user) };
  expect(await scenario.users.update(user, { grant })).not.toBe("refused");
}

/** As long as the cached access token is valid, nothing needs the refresh token. */
const expired = () => ({ accessTokenExpiresAt: new Date(0) });

const added = (email: string) =>
  scenario
    .events(email)
    .filter(({ json }) => json["messageId"] !== undefined)
    .map(({ json }) => json["messageId"]);

/** Alerted, with the user's id; not flagged, told nothing, still due; and no secret in any log. */
function expectOursToMend(email: string, logs: string[], why: string): void {
  const user = scenario.stored(email);
  const alerts = logs
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ event, userId }) => event === "token_decrypt_failed" && userId === user.id);
  expect(alerts.length).toBeGreaterThan(0);
  expect(alerts.at(-1)).toMatchObject({ severity: "CRITICAL", why });
  expect(user.status).toBe("active");
  expect(user.grant.refreshToken).toBeDefined();
  expect(user.sync).toMatchObject({ dueReason: "unfinished", dueAt: expect.any(Date) });
  expect(user.watch.renewAt).toBeInstanceOf(Date);
  const kinds = scenario.events(email).map(({ attributes }) => attributes["ce-type"]);
  expect(kinds).not.toContain("mailbox.reauthorization_required");
  const { grant } = user;
  const secrets = [...scenario.emulator.secretsIssued(), grant.refreshToken, grant.accessToken];
  const logged = logs.join("\n");
  expect(secrets.filter((secret) => secret !== undefined && logged.includes(secret))).toEqual([]);
}

async function reconcileLater(ms = HOUR_MS): Promise<void> {
  scenario.clock.advance(ms);
  expect(await scenario.runSchedule("mailboxReconciliation")).toBe(204);
}

describe("T1: how tokens are sealed", () => {
  /** Made with the HKDF and AESGCM of Python's `cryptography`, from the description in sealing.ts. */
  const SEALED_ELSEWHERE =
    "v2.2026-11.ZGVmZ2hpamtsbW5v.K6MdHUYzfxBxDxTwO-XX-_Yj5magVI6go3DOjd9P2g.HL6WzohBcXTZ-ZCuTU6UIw";
  const OLDER =
    "v1.2026-11.ZGVmZ2hpamtsbW5v.eTTxVh6hMswKFBTZvx0LkDKuY1juCoEX1Ln4J5DGyw.qm1sNLYAf2cXrfPrMs8dww";
  const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
  const CONTEXT = { userId: "1001", purpose: "refresh_token" };
  const TOKEN = "1//0gHdR4vK1exampleRefreshToken";

  it("T1: uses AES-256-GCM with user, purpose and key id as additional data", () => {
    const json = { primary: "2026-11", keys: { "2026-11": KEY.toString("base64") } };
    const ring = ringOf(JSON.stringify(json));
    expect(open(ring, SEALED_ELSEWHERE, CONTEXT)).toEqual(ok(TOKEN));
    expect(open(ring, OLDER, CONTEXT)).toEqual(ok(TOKEN));
    const iv = Buffer.from("defghijklmno");
    expect(seal(ring, TOKEN, CONTEXT, () => iv)).toBe(SEALED_ELSEWHERE);
  });

  it("T1: seals the stored refresh token, bound to its user", async () => {
    await scenario.connect(ADA);
    const { id, grant } = scenario.stored(ADA);
    const [, keyId, iv = "", ciphertext = "", tag = ""] = (grant.refreshToken ?? "").split(".");
    const key = keyRing("a").keys.get("a");
    assert(key !== undefined);
    const additional = [id, "refresh_token", "a"].flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, Buffer.from(part)];
    });
    const derived = Buffer.from(hkdfSync("sha256", key, "", "seal:refresh_token", 32));
    const decipher = createDecipheriv("aes-256-gcm", derived, Buffer.from(iv, "base64url"));
    decipher.setAAD(Buffer.concat(additional)).setAuthTag(Buffer.from(tag, "base64url"));
    const opened = decipher.update(ciphertext, "base64url", "utf8") + decipher.final("utf8");
    expect(keyId).toBe("a");
    expect(opened).toMatch(/^1\/\/0/);
    expect(scenario.emulator.secretsIssued()).toContain(opened);
  });
});

describe("T2: the ciphertext of another user", () => {
  it("T2: Ada's refresh token cannot be decrypted in Bob's document: Bob is not flagged, and recovers", async () => {
    await scenario.connect(ADA);
    await scenario.connect(BOB);
    const { refreshToken } = scenario.stored(ADA).grant;
    const own = scenario.stored(BOB).grant.refreshToken;
    await tamper(BOB, () => ({ ...expired(), refreshToken }) as Partial<User["grant"]>);
    const calls = scenario.emulator.calls.length;

    const { messageId } = scenario.emulator.deliver(BOB, { subject: "for Bob" });
    await scenario.settled();
    expectOursToMend(BOB, scenario.logs, "not_authentic");
    expect(added(BOB)).toEqual([]);
    expect(scenario.emulator.calls).toHaveLength(calls);

    await tamper(BOB, () => ({ refreshToken: own }) as Partial<User["grant"]>);
    await reconcileLater();
    expect(added(BOB)).toEqual([messageId]);
  });

  it("T2: nor can her access token: a new one is requested, and that is alerted, too", async () => {
    await scenario.connect(ADA);
    await scenario.connect(BOB);
    const { accessToken } = scenario.stored(ADA).grant;
    await tamper(BOB, () => ({ accessToken }) as Partial<User["grant"]>);
    const callsOf = (email: string) =>
      scenario.emulator.calls.filter(({ account }) => account === email).length;
    const callsOfAda = callsOf(ADA);
    const { messageId } = scenario.emulator.deliver(BOB, { subject: "for Bob" });
    await scenario.settled();
    const { id, status } = scenario.stored(BOB);
    expect(scenario.logged("token_decrypt_failed")).toMatchObject([
      { severity: "CRITICAL", userId: id, purpose: "access_token", why: "not_authentic" },
    ]);
    expect(status).toBe("active");
    expect(added(BOB)).toEqual([messageId]);
    expect(callsOf(ADA)).toBe(callsOfAda);
  });

  it("T2: one damaged document delays no other mailbox", async () => {
    for (const email of [ADA, BOB]) await scenario.connect(email);
    const { refreshToken } = scenario.stored(ADA).grant;
    for (const name of ["c", "d", "e", "f", "g", "h"]) {
      await scenario.connect(`${name}@example.com`);
      await tamper(`${name}@example.com`, () => ({ ...expired(), refreshToken }) as User["grant"]);
    }
    scenario.clock.advance(2 * HOUR_MS);
    for (const name of ["c", "d", "e", "f", "g", "h"]) {
      scenario.emulator.deliver(`${name}@example.com`, {});
    }
    const { messageId } = scenario.emulator.deliver(BOB, {});
    await scenario.settled();
    expect(added(BOB)).toEqual([messageId]);
    expect(scenario.logged("circuit_open")).toEqual([]);
    expect(scenario.logged("user_flagged")).toEqual([]);
  });
});

describe("T3: a damaged ciphertext", () => {
  it("T3: detects a change of any bit of a stored value", async () => {
    await scenario.connect(ADA);
    const { id, grant } = scenario.stored(ADA);
    const lines: string[] = [];
    const tokens = sealWith(keyRing("a"), lines);
    for (const [purpose, sealed] of [
      ["refresh_token", grant.refreshToken],
      ["access_token", grant.accessToken],
    ] as const) {
      assert(sealed !== undefined);
      expect(tokens.open(id, purpose, sealed)).toBeDefined();
      for (let at = 0; at < sealed.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const character = String.fromCharCode(sealed.charCodeAt(at) ^ (1 << bit));
          const damaged = sealed.slice(0, at) + character + sealed.slice(at + 1);
          expect(tokens.open(id, purpose, damaged as Sealed)).toBeUndefined();
        }
      }
    }
    expect(lines.length).toBeGreaterThan(1_000);
    expect(lines.every((line) => line.includes('"CRITICAL"'))).toBe(true);
  });

  it("T3: flags no user and makes no call with a damaged value", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setPush({ kind: "none" });
    const { refreshToken = "" } = scenario.stored(ADA).grant;
    const { messageId } = scenario.emulator.deliver(ADA, {});
    const calls = scenario.emulator.calls.length;
    const instance = startSecondInstance(scenario, {});
    for (let at = 0; at < refreshToken.length; at += 3) {
      const character = refreshToken[at] === "A" ? "B" : "A";
      const damaged = refreshToken.slice(0, at) + character + refreshToken.slice(at + 1);
      await tamper(ADA, () => ({ ...expired(), refreshToken: damaged as Sealed }));
      await instance.notify(ADA);
      expect(scenario.stored(ADA).status).toBe("active");
    }
    const { why } = instance.logged("token_decrypt_failed").at(-1) ?? {};
    expectOursToMend(ADA, instance.logs, String(why));
    expect(instance.logged("token_decrypt_failed")).toHaveLength(
      Math.ceil(refreshToken.length / 3),
    );
    expect(scenario.emulator.calls).toHaveLength(calls);
    await tamper(ADA, () => ({ refreshToken: refreshToken as Sealed }));
    await instance.notify(ADA);
    expect(added(ADA)).toEqual([messageId]);
  });
});

describe("T4: an old key", () => {
  it("T4: still decrypts while it is on the ring; new values use the primary key", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setPush({ kind: "none" });
    scenario.clock.advance(2 * HOUR_MS);
    const rotated = startSecondInstance(scenario, { tokenKeys: tokenKeys("b", "a") });
    const { messageId } = scenario.emulator.deliver(ADA, {});
    await rotated.notify(ADA);
    expect(added(ADA)).toEqual([messageId]);
    expect(rotated.logged("token_decrypt_failed")).toEqual([]);
    const { grant } = scenario.stored(ADA);
    expect(keyIdOf(grant.refreshToken ?? "")).toBe("a");
    expect(keyIdOf(grant.accessToken ?? "")).toBe("b");
  });

  it("T4: removed too early: alerts, no user flagged, no crash loop, and an operator can fix it", async () => {
    const emails = Array.from({ length: 30 }, (_, i) => `user${i}@example.com`);
    for (const email of emails) await scenario.connect(email);
    scenario.emulator.setPush({ kind: "none" });
    scenario.clock.advance(25 * HOUR_MS);
    const ids = new Map(
      emails.map((email) => [email, scenario.emulator.deliver(email, {}).messageId]),
    );
    const calls = scenario.emulator.calls.length;

    const without = startSecondInstance(scenario, { tokenKeys: tokenKeys("b") });
    for (const email of emails) await without.notify(email);
    for (let run = 0; run < 5; run++) {
      await without.watchRenewal();
      await without.mailboxReconciliation();
      scenario.clock.advance(HOUR_MS);
    }
    expect(scenario.emulator.calls).toHaveLength(calls);
    for (const email of emails) expectOursToMend(email, without.logs, "unknown_key");
    expect(without.logged("user_flagged")).toEqual([]);
    expect(without.logged("renewal_misconfigured").length).toBeGreaterThan(0);
    // It is left alone longer and longer, not tried in a loop.
    expect(scenario.stored(emails[0] ?? "").sync.retries).toBeGreaterThan(3);

    const fixed = startSecondInstance(scenario, { tokenKeys: tokenKeys("b", "a") });
    scenario.clock.advance(HOUR_MS);
    await fixed.mailboxReconciliation();
    for (const email of emails) expect(added(email)).toEqual([ids.get(email)]);
    expect(fixed.logged("token_decrypt_failed")).toEqual([]);
  });

  it("T4: lost for good: a person who connects again resumes from the kept cursor", async () => {
    await scenario.connect(ADA);
    const { id } = scenario.stored(ADA);
    const lost = sealWith(keyRing("lost"));
    await tamper(ADA, () => ({
      ...expired(),
      refreshToken: lost.seal(id, "refresh_token", "whatever it was"),
    }));
    const { messageId } = scenario.emulator.deliver(ADA, {});
    await scenario.settled();
    expectOursToMend(ADA, scenario.logs, "unknown_key");
    const { status, page } = await scenario.connect(ADA, { exists: true });
    expect([status, page.includes(ADA)]).toEqual([200, true]);
    expect(scenario.stored(ADA).grant.generation).toBe(2);
    expect(added(ADA)).toEqual([messageId]);
  });

  it("T4: a disconnect with an undecryptable token stays unfinished until the key is back", async () => {
    const { browser } = await scenario.connect(ADA);
    const { id, grant } = scenario.stored(ADA);
    const lost = sealWith(keyRing("lost"));
    await tamper(ADA, () => ({ refreshToken: lost.seal(id, "refresh_token", "elsewhere") }));
    const page = await (await browser.get(`${scenario.publicUrl}/`)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    await browser.post(`${scenario.publicUrl}/disconnect`, { csrf });
    expect(scenario.stored(ADA)).toMatchObject({
      status: "disconnected",
      grant: { refreshToken: expect.any(String) },
      followUp: { dueAt: expect.any(Date) },
    });
    await tamper(ADA, () => ({ refreshToken: grant.refreshToken }) as Partial<User["grant"]>);
    await reconcileLater();
    expect(scenario.stored(ADA).grant.refreshToken).toBeUndefined();
    expect(scenario.emulator.calls.some(({ method }) => method === "revoke")).toBe(true);
  });
});

describe("a key that becomes primary before every instance has it", () => {
  it("alerts on the old instance, flags no user, and ends when that instance is replaced", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setPush({ kind: "none" });
    const fresh = startSecondInstance(scenario, { tokenKeys: tokenKeys("b", "a") });
    const old = startSecondInstance(scenario, { tokenKeys: tokenKeys("a") });

    // The new one rotates the refresh token's seal, as an authorization or a re-sealing does.
    const { id, grant } = scenario.stored(ADA);
    const token = sealWith(keyRing("a")).open(id, "refresh_token", grant.refreshToken as Sealed);
    await tamper(ADA, () => ({
      ...expired(),
      refreshToken: sealWith(keyRing("b", "a")).seal(id, "refresh_token", token ?? ""),
    }));
    const first = scenario.emulator.deliver(ADA, {}).messageId;
    await old.notify(ADA);
    expectOursToMend(ADA, old.logs, "unknown_key");
    await fresh.notify(ADA);
    expect(added(ADA)).toEqual([first]);

    // The access token that the new one has sealed is as unreadable to the old one.
    const second = scenario.emulator.deliver(ADA, {}).messageId;
    await old.notify(ADA);
    expectOursToMend(ADA, old.logs, "unknown_key");
    expect(added(ADA)).toEqual([first]);
    scenario.clock.advance(HOUR_MS / 2);
    await fresh.mailboxReconciliation();
    expect(added(ADA)).toEqual([first, second]);
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("added first and made primary later, every instance can decrypt everything", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setPush({ kind: "none" });
    const delivered: (string | undefined)[] = [];
    const steps = [
      [tokenKeys("a"), tokenKeys("a", "b")],
      [tokenKeys("a", "b"), tokenKeys("b", "a")],
      [tokenKeys("b", "a"), tokenKeys("b", "a")],
    ] as const;
    for (const [before, after] of steps) {
      const instances = [before, after].map((ring) =>
        startSecondInstance(scenario, { tokenKeys: ring }),
      );
      // Each writes what the other has to read, twice over.
      for (const instance of [...instances, ...instances]) {
        scenario.clock.advance(2 * HOUR_MS);
        delivered.push(scenario.emulator.deliver(ADA, {}).messageId);
        await instance.notify(ADA);
      }
      expect(instances.flatMap(({ logged }) => logged("token_decrypt_failed"))).toEqual([]);
    }
    expect(added(ADA)).toEqual(delivered);
  });
});

describe("T6, T8: the whole store", () => {
  it("T6, T8: contains no token, code or secret after 50 connections, syncs and a renewal", async () => {
    const emails = Array.from({ length: 50 }, (_, i) => `user${i}@example.com`);
    for (const email of emails) await scenario.connect(email);
    for (const email of emails.slice(0, 20)) scenario.emulator.deliver(email, {});
    await scenario.settled();
    // Before the first tokens are written over, and after.
    const dumps = [JSON.stringify(scenario.users.dump())];
    scenario.clock.advance(25 * HOUR_MS);
    expect(await scenario.runSchedule("watchRenewal")).toBe(204);
    expect(await scenario.runSchedule("mailboxReconciliation")).toBe(204);

    const dump = [...dumps, JSON.stringify(scenario.users.dump())].join("\n");
    expect(dump.length).toBeGreaterThan(100_000);
    const secrets = scenario.emulator.secretsIssued();
    expect(secrets.length).toBeGreaterThan(150);
    expect(findSecrets(dump, secrets)).toEqual([]);
    // Nor for a moment: what was stored unsealed would not have opened.
    expect(scenario.logged("token_decrypt_failed")).toEqual([]);
    // The search itself finds what there is to find.
    const [token = ""] = secrets.slice(1);
    for (const form of ["utf8", "base64", "base64url", "hex"] as const) {
      expect(findSecrets(`${dump}${Buffer.from(token).toString(form)}`, [token])).toEqual([token]);
    }
  });

  it("T8: seals access tokens for their own purpose", async () => {
    await scenario.connect(ADA);
    const { id, grant } = scenario.stored(ADA);
    const { accessToken } = grant;
    assert(accessToken !== undefined);
    const tokens = sealWith(keyRing("a"));
    const opened = tokens.open(id, "access_token", accessToken);
    expect(opened).toMatch(/^ya29\./);
    expect(tokens.open(id, "refresh_token", accessToken)).toBeUndefined();
  });
});

describe("T10: a new client secret", () => {
  it("T10: with both enabled, instances with the old and the new secret work at the same time", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setPush({ kind: "none" });
    const { clientId } = scenario.config.oauth;
    scenario.emulator.addClientSecret(clientId, "GOCSPX-the-second");
    const old = startSecondInstance(scenario, {});
    const fresh = startSecondInstance(scenario, { clientSecret: "GOCSPX-the-second" });
    const delivered: string[] = [];
    for (const instance of [old, fresh, old, fresh]) {
      scenario.clock.advance(2 * HOUR_MS);
      delivered.push(scenario.emulator.deliver(ADA, {}).messageId);
      await instance.notify(ADA);
    }
    expect(added(ADA)).toEqual(delivered);
    expect([...old.logged("misconfigured"), ...fresh.logged("misconfigured")]).toEqual([]);

    // The old one is disabled while an instance still has it: an alert, and the other one serves.
    scenario.emulator.setClientSecret(clientId, "GOCSPX-the-second");
    scenario.clock.advance(2 * HOUR_MS);
    delivered.push(scenario.emulator.deliver(ADA, {}).messageId);
    await old.notify(ADA);
    expect(old.logged("misconfigured")).toMatchObject([{ severity: "CRITICAL" }]);
    expect(scenario.stored(ADA)).toMatchObject({
      status: "active",
      sync: { dueReason: "unfinished" },
    });
    scenario.clock.advance(HOUR_MS);
    await fresh.mailboxReconciliation();
    expect(added(ADA)).toEqual(delivered);
    const browser = openBrowser();
    expect((await browser.get(`${scenario.publicUrl}/`)).status).toBe(200);
  });
});
