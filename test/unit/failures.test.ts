import type { Failure } from "../../functions/src/domain/failure.ts";
import { describe, expect, it } from "vitest";
import { endingOf, familyOf, noteFailure } from "../../functions/src/domain/failure-streak.ts";
import type { SyncFailure } from "../../functions/src/domain/user.ts";

const NOW = new Date("2026-11-20T12:00:00Z");
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const ago = (ms: number) => new Date(NOW.getTime() - ms);

const FORBIDDEN: Failure = { kind: "refused", reason: "forbidden" };
const BACKEND: Failure = { kind: "transient", reason: "backendError" };
const UNAUTHENTICATED: Failure = { kind: "unauthenticated", reason: "unauthenticated" };
const DISABLED: Failure = { kind: "mailbox_unavailable", reason: "account_disabled" };
const NO_MAIL: Failure = { kind: "mailbox_unavailable", reason: "mail_service_not_enabled" };
const API_OFF: Failure = { kind: "misconfigured", reason: "accessNotConfigured" };

/** A row of failures of one family that began so long ago. */
const row = (family: SyncFailure["family"], ms: number, count = 10): SyncFailure => ({
  since: ago(ms),
  at: ago(MINUTE_MS),
  family,
  reason: "earlier",
  count,
  call: "history.list",
});

describe("consecutive failures", () => {
  it("keep their start within one family, for any reasons", () => {
    const before = row("mailbox", HOUR_MS, 4);
    expect(noteFailure(before, BACKEND, "history.list", NOW)).toEqual({
      since: before.since,
      at: NOW,
      family: "mailbox",
      reason: "backendError",
      count: 5,
      call: "history.list",
    });
  });

  it("restart with another family, and continue counting", () => {
    const noted = noteFailure(row("mailbox", HOUR_MS, 4), UNAUTHENTICATED, "history.list", NOW);
    expect(noted).toMatchObject({ since: NOW, family: "credentials", count: 5 });
  });

  it("keep their start through a throttled call, which says nothing about a rejection", () => {
    const before = row("mailbox", DAY_MS, 4);
    const throttled: Failure = { kind: "rate_limited", reason: "rateLimitExceeded", daily: false };
    const noted = noteFailure(before, throttled, "history.list", NOW);
    expect(noted).toEqual({ ...before, at: NOW, count: 5 });
    expect(endingOf(noted, throttled, "history.list", NOW)).toBeUndefined();
    expect(endingOf(noted, BACKEND, "history.list", NOW)).toMatchObject({ kind: "judge" });
    // Refused access tokens have to be refused for an hour, not found so twice within it.
    const credentials = noteFailure(row("credentials", HOUR_MS), throttled, "history.list", NOW);
    expect(credentials).toMatchObject({ since: NOW, family: "throttled" });
  });

  it("restart with each of our own failures", () => {
    const noted = noteFailure(row("ours", DAY_MS), API_OFF, "history.list", NOW);
    expect(noted).toMatchObject({ since: NOW, family: "ours" });
  });

  it.each(["circuit_open", "fleet_guard"])("learns nothing from a skipped call: %s", (reason) => {
    const before = row("mailbox", HOUR_MS, 4);
    const noted = noteFailure(before, { kind: "misconfigured", reason }, "history.list", NOW);
    expect(noted).toEqual({ ...before, at: NOW, count: 5 });
  });

  it("count a failed publication as our own failure", () => {
    expect(familyOf(BACKEND, "publish")).toBe("ours");
    expect(familyOf(BACKEND, "history.list")).toBe("mailbox");
  });
});

describe("what a failure ends", () => {
  it("is the grant, at once, if the token endpoint says so", () => {
    const failure: Failure = { kind: "reauthorize", reason: "invalid_grant" };
    expect(endingOf(undefined, failure, "token.refresh", NOW)).toEqual({ kind: "flag", failure });
  });

  it("is nothing while access tokens or the account are rejected for less than an hour", () => {
    for (const failure of [UNAUTHENTICATED, DISABLED]) {
      const family = familyOf(failure, "history.list");
      const short = row(family, HOUR_MS - 1);
      expect(endingOf(undefined, failure, "history.list", NOW)).toBeUndefined();
      expect(endingOf(short, failure, "history.list", NOW)).toBeUndefined();
      expect(endingOf(row(family, HOUR_MS), failure, "history.list", NOW)).toBeDefined();
      expect(endingOf(row(family, HOUR_MS, 2), failure, "history.list", NOW)).toBeUndefined();
      expect(endingOf(row("mailbox", DAY_MS), failure, "history.list", NOW)).toBeUndefined();
    }
  });

  it("is the mailbox, at once, if the failure or the token endpoint says so", () => {
    expect(endingOf(undefined, NO_MAIL, "history.list", NOW)).toMatchObject({ kind: "flag" });
    expect(endingOf(undefined, DISABLED, "token.refresh", NOW)).toMatchObject({ kind: "flag" });
  });

  it("is the mailbox after a day of another rejection, if others succeed", () => {
    for (const failure of [FORBIDDEN, BACKEND]) {
      expect(endingOf(row("mailbox", DAY_MS - 1), failure, "history.list", NOW)).toBeUndefined();
      expect(endingOf(row("mailbox", DAY_MS), failure, "history.list", NOW)).toMatchObject({
        kind: "judge",
        failure: { kind: "mailbox_unavailable" },
        isLongEnoughAlone: false,
      });
      expect(endingOf(row("mailbox", 3 * DAY_MS), failure, "history.list", NOW)).toMatchObject({
        isLongEnoughAlone: true,
      });
    }
  });

  it("is nothing if the failure is our own", () => {
    const ours = row("ours", 30 * DAY_MS);
    expect(endingOf(ours, API_OFF, "history.list", NOW)).toBeUndefined();
    expect(endingOf(ours, BACKEND, "publish", NOW)).toBeUndefined();
  });
});
