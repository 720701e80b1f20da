import { assert, jsonValue, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { type SecurityEvent, readClaims } from "../../functions/src/security-events/event.ts";
import { errorCodeOf } from "../../functions/src/security-events/refusal.ts";
import { findDistrust, parseToken } from "../../functions/src/security-events/token.ts";
import { valueOf } from "../support/result.ts";
import { encoded } from "./open-signer.ts";

const ISSUER = "https://accounts.google.com/";
const NOW = new Date("2026-11-20T12:00:00.000Z");
const IAT = NOW.getTime() / 1_000;
const TYPE = "https://schemas.openid.net/secevent/risc/event-type/";
const SUBJECT = { subject_type: "iss-sub", iss: ISSUER, sub: "1234" };

function compact(header: unknown, payload: unknown): string {
  return `${encoded(header)}.${encoded(payload)}.AAAA`;
}

function claims(over: Record<string, unknown> = {}): Record<string, unknown> {
  const events = { [`${TYPE}sessions-revoked`]: { subject: SUBJECT } };
  return { iat: IAT, jti: "1", events, ...over };
}

function eventsOf(events: Record<string, unknown>): readonly SecurityEvent[] {
  return valueOf(readClaims(claims({ events }), ISSUER, NOW)).events;
}

describe("parseToken", () => {
  it("rejects claims that would change a prototype", () => {
    const parsed = parseToken(compact({ alg: "RS256" }, '{"__proto__":{"iss":"x"}}'));
    expect(findDistrust(valueOf(parsed), "x", ["x"])).toMatchObject({ kind: "issuer_wrong" });
  });
});

describe("readClaims", () => {
  it("reads when it happened and when it was signed", () => {
    const read = readClaims(claims({ iat: IAT - 60, toe: IAT - 3_600 }), ISSUER, NOW);
    expect(read).toMatchObject({
      value: {
        issuedAt: new Date("2026-11-20T11:59:00Z"),
        happenedAt: new Date("2026-11-20T11:00:00Z"),
      },
    });
  });

  it("rejects an event that happened after it was signed", () => {
    const issuedAt = new Date(IAT * 1_000);
    for (const toe of [IAT + 1, 1e18, -1, "x", null, undefined]) {
      const read = readClaims(claims({ toe }), ISSUER, NOW);
      expect(read).toMatchObject({ value: { issuedAt, happenedAt: issuedAt } });
    }
  });

  it("tolerates five minutes of clock difference, and not a second more", () => {
    expect(readClaims(claims({ iat: IAT + 300 }), ISSUER, NOW).ok).toBe(true);
    expect(readClaims(claims({ iat: IAT + 301 }), ISSUER, NOW)).toEqual({
      ok: false,
      error: { kind: "issued_in_future", aheadMs: 301_000 },
    });
  });

  it("gives each token its own id, also of another issuer", () => {
    const idOf = (jti: string, issuer = ISSUER) =>
      valueOf(readClaims(claims({ jti }), issuer, NOW)).id;
    expect(idOf("1")).toMatch(/^[0-9a-f]{64}$/);
    expect(idOf("1")).toBe(idOf("1"));
    expect(new Set([idOf("1"), idOf("2"), idOf("1", "https://other.example")]).size).toBe(3);
  });

  it("reads Google's subjects, under either prefix of the type", () => {
    const token = { token_type: "refresh_token", token_identifier_alg: "prefix", token: "1//0abc" };
    const byPrefix = { kind: "refresh_token", name: { by: "prefix", prefix: "1//0abc" } };
    const oauth = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked";
    expect(eventsOf({ [oauth]: { subject: token } })).toEqual([
      { kind: "token_revoked", subject: byPrefix },
    ]);
    const account = { kind: "account", userId: "1234" };
    const disabled = { subject: SUBJECT, reason: "bulk-account" };
    expect(eventsOf({ [`${TYPE}account-disabled`]: disabled })).toEqual([
      { kind: "account_disabled", subject: account, reason: "bulk-account" },
    ]);
    const odd = { subject: SUBJECT, reason: "Because\n" };
    expect(eventsOf({ [`${TYPE}account-disabled`]: odd })).toEqual([
      { kind: "account_disabled", subject: account },
    ]);
  });

  it("returns a result for any claims, never throws, and has a code for every rejection", () => {
    assert(
      property(jsonValue(), jsonValue(), jsonValue(), (iat, jti, detail) => {
        const events = { [`${TYPE}account-disabled`]: detail };
        const tried = [{ iat }, { jti }, { events }, { events: detail }, { iat, jti, events }];
        for (const over of tried) {
          const read = readClaims(claims(over), ISSUER, NOW);
          const isSound = read.ok
            ? read.value.issuedAt.getTime() <= NOW.getTime() + 300_000
            : errorCodeOf(read.error) === "invalid_request";
          expect(isSound).toBe(true);
        }
      }),
    );
  });
});
