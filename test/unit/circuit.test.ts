import { FailedCall, type Failure } from "../../functions/src/domain/failure.ts";
import { beforeEach, describe, expect, it } from "vitest";
import { type Circuit, createCircuit } from "../../functions/src/google/circuit.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { type UserId, parseUserId } from "../../functions/src/domain/user.ts";

const MINUTE_MS = 60_000;
const OURS: Failure = { kind: "misconfigured", reason: "accessNotConfigured" };

describe("the circuit", () => {
  let now: Date;
  let lines: string[];
  let circuit: Circuit;

  beforeEach(() => {
    now = new Date("2026-11-20T12:00:00Z");
    lines = [];
    const clock = { now: () => now, sleep: () => Promise.resolve() };
    circuit = createCircuit(
      clock,
      createLog((line) => void lines.push(line)),
    );
  });

  const pass = (ms: number) => void (now = new Date(now.getTime() + ms));
  const alerts = () => lines.filter((line) => line.includes('"circuit_open"')).length;

  /** What comes of one call: `answered`, the failure that was Google's, or `circuit_open`. */
  async function ask(name: string, failure?: Failure): Promise<string> {
    const request = () =>
      failure === undefined
        ? Promise.resolve("answered")
        : Promise.reject(new FailedCall("history.list", failure));
    try {
      return await circuit.call("history.list", userId(name), request);
    } catch (error) {
      if (!(error instanceof FailedCall)) throw error;
      return error.failure.reason;
    }
  }

  it("stays closed although one user is rejected repeatedly", async () => {
    for (let tries = 0; tries < 50; tries++) await ask("ada", OURS);
    expect(await ask("bob")).toBe("answered");
    expect(alerts()).toBe(0);
  });

  it("opens for a minute when three users were rejected, and alerts once", async () => {
    for (const name of ["ada", "bob", "eve"]) await ask(name, OURS);
    expect(await ask("dan")).toBe("circuit_open");
    pass(MINUTE_MS - 1);
    expect(await ask("dan")).toBe("circuit_open");
    pass(1);
    expect(await ask("dan")).toBe("answered");
    expect(await ask("ada")).toBe("answered");
    expect(alerts()).toBe(1);
  });

  it.each<[string, Failure | undefined]>([
    ["a success", undefined],
    ["an expired history", { kind: "history_expired", reason: "history_expired" }],
    ["a dead grant", { kind: "reauthorize", reason: "invalid_grant" }],
  ])("forgets the users refused before %s of another", async (_, failure) => {
    await ask("ada", OURS);
    await ask("bob", OURS);
    await ask("dan", failure);
    await ask("eve", OURS);
    expect(await ask("dan")).toBe("answered");
  });

  it.each<[string, Failure]>([
    ["throttling", { kind: "rate_limited", reason: "rateLimitExceeded", daily: false }],
    ["a 5xx", { kind: "transient", reason: "backendError" }],
  ])("learns nothing from %s", async (_, failure) => {
    await ask("ada", OURS);
    await ask("bob", OURS);
    await ask("dan", failure);
    await ask("eve", OURS);
    expect(await ask("dan")).toBe("circuit_open");
  });

  it("stays closed while users are rejected hours apart, and opens once three are within minutes", async () => {
    for (const name of ["ada", "bob", "eve", "dan"]) {
      expect(await ask(name, OURS)).toBe("accessNotConfigured");
      pass(60 * MINUTE_MS);
    }
    expect(alerts()).toBe(0);
    for (const name of ["ada", "bob", "eve"]) {
      expect(await ask(name, OURS)).toBe("accessNotConfigured");
      pass(MINUTE_MS);
    }
    expect(alerts()).toBe(1);
  });

  it("prefers a user who was not rejected as the probe, and waits a minute for one", async () => {
    for (const name of ["ada", "bob", "eve"]) await ask(name, OURS);
    pass(MINUTE_MS);
    expect(await ask("eve")).toBe("circuit_open");
    pass(MINUTE_MS);
    expect(await ask("eve", OURS)).toBe("accessNotConfigured");
    expect(alerts()).toBe(2);
  });

  it("lets one call probe while the others wait for its response", async () => {
    for (const name of ["ada", "bob", "eve"]) await ask(name, OURS);
    pass(MINUTE_MS);
    let answer: (value: string) => void = () => {};
    const probe = circuit.call(
      "history.list",
      userId("dan"),
      () => new Promise<string>((resolve) => void (answer = resolve)),
    );
    const waiting = [ask("fay"), ask("gil")];
    answer("answered");
    await probe;
    expect(await Promise.all(waiting)).toEqual(["answered", "answered"]);
  });

  it("fails the calls that waited for a probe when that is rejected, too", async () => {
    for (const name of ["ada", "bob", "eve"]) await ask(name, OURS);
    pass(MINUTE_MS);
    expect(await Promise.all([ask("dan", OURS), ask("fay"), ask("gil")])).toEqual([
      "accessNotConfigured",
      "circuit_open",
      "circuit_open",
    ]);
  });

  it("treats methods separately", async () => {
    for (const name of ["ada", "bob", "eve"]) await ask(name, OURS);
    const answer = await circuit.call("users.watch", userId("ada"), () => Promise.resolve(1));
    expect(answer).toBe(1);
  });
});

function userId(name: string): UserId {
  const id = parseUserId(name);
  if (id === undefined) throw new Error(`not a user id: ${name}`);
  return id;
}
