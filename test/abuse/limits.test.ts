import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Receiver } from "../../functions/src/receiver.ts";
import {
  type ExportedTelemetry,
  NO_TELEMETRY,
} from "../../functions/src/platform/telemetry/telemetry.ts";
import { openBrowser } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";

/**
 * Goal: what strangers can make an instance spend on Google and on its log is bounded, for one
 * address and for all of them; and no person who wants to connect is refused.
 */

let scenario: Scenario;

beforeEach(async () => {
  scenario = await startScenario();
});
afterEach(() => scenario.close());

const exchanges = () => scenario.emulator.calls.filter(({ method }) => method === "token.code");
const SET = { "content-type": "application/secevent+jwt" };
/** Well formed, and not signed. */
const forged = (n: number) =>
  [{ alg: "RS256", kid: `key ${n}`, typ: "secevent+jwt" }, { iss: "https://accounts.google.com" }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .concat("c2lnbmVk")
    .join(".");

describe("one address", () => {
  /** Begins an authorization and answers it with a code that Google never gave. */
  async function guess(from: string): Promise<Response> {
    const browser = openBrowser();
    const headers = { "x-forwarded-for": from };
    const start = await browser.ask(`${scenario.publicUrl}/start`, headers);
    const location = start.headers.get("location");
    if (location === null) return start;
    const state = new URL(location).searchParams.get("state") ?? "";
    const query = new URLSearchParams({ state, code: "guessed" });
    return browser.ask(`${scenario.publicUrl}/callback?${query}`, headers);
  }

  it("gets tens of codes exchanged with any headers", async () => {
    const answers: Response[] = [];
    for (let n = 0; n < 200; n++) answers.push(await guess(`10.0.0.${n}, 192.0.2.1`));
    // A full bucket, and what flows in meanwhile.
    expect(exchanges().length).toBeGreaterThan(0);
    expect(exchanges().length).toBeLessThan(90);
    expect(scenario.logs.length).toBeLessThan(60);

    const last = answers.at(-1);
    expect([last?.status, last?.headers.get("retry-after")]).toEqual([429, "30"]);
    expect(last?.headers.get("content-type")).toMatch(/^text\/html/);
    expect(await last?.text()).toContain("Too many requests");

    expect((await guess("192.0.2.2")).status).toBe(303);
  });

  it("may be an office where 50 people connect at once, and again with a new link", async () => {
    const people = Array.from({ length: 50 }, (_, n) => `person${n}@example.com`);
    const connected = await Promise.all(people.map((person) => scenario.connect(person)));
    expect(new Set(connected.map(({ status }) => status))).toEqual(new Set([200]));
    scenario.clock.advance(10 * 60_000);
    const again = await Promise.all(
      people.map((person) => scenario.connect(person, { exists: true })),
    );
    expect(new Set(again.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it("is limited after too many rejected security events; Google's events are not", async () => {
    const post = (body: string, from: string) =>
      fetch(scenario.urls.securityEvent, {
        method: "POST",
        headers: { ...SET, "x-forwarded-for": from },
        body,
      });
    const genuine = (n: number) => {
      const account = `someone${n}@example.com`;
      scenario.emulator.createAccount({ email: account });
      return scenario.emulator.securityEvent({
        type: "risc/event-type/sessions-revoked",
        audience: scenario.config.oauth.clientId,
        account,
      });
    };
    const statuses: number[] = [];
    for (let n = 0; n < 100; n++) statuses.push((await post(forged(n), "192.0.2.1")).status);
    expect(statuses.slice(0, 60)).toEqual(Array<number>(60).fill(400));
    expect(statuses.at(-1)).toBe(429);
    expect(scenario.logs.length).toBeLessThan(40);

    for (let n = 0; n < 100; n++) {
      expect((await post(genuine(n), "74.125.0.1")).status).toBe(202);
    }
    // A proxy in front can make Google look like the client that was refused.
    expect((await post(genuine(100), "192.0.2.1")).status).toBe(202);
    expect((await post(forged(100), "192.0.2.1")).status).toBe(429);
  });
});

describe("10,000 addresses", () => {
  let receiver: Receiver & { logs: string[] };
  let traces = 0;
  const counted: ExportedTelemetry = {
    ...NO_TELEMETRY,
    logFields: () => ({}),
    invocation(name, kind, traceparent, run) {
      traces += 1;
      return NO_TELEMETRY.invocation(name, kind, traceparent, run);
    },
  };
  beforeEach(() => {
    traces = 0;
    receiver = startSecondInstance(scenario, { telemetry: counted });
  });
  const clients = Array.from({ length: 10_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);

  it("get hundreds of codes exchanged, and tens of lines logged", async () => {
    const { connect, http } = receiver;
    const { publicUrl } = http;
    const statuses = new Map<string, number>();
    for (const client of clients) {
      const start = await connect(new Request(`${publicUrl}/start`), http.log, client);
      const state = new URL(start.headers.get("location") ?? "").searchParams.get("state") ?? "";
      const cookie = start.headers.getSetCookie().at(-1)?.split(";")[0] ?? "";
      const query = new URLSearchParams({ state, code: "guessed" });
      const callback = new Request(`${publicUrl}/callback?${query}`, { headers: { cookie } });
      const answer = await connect(callback, http.log, client);
      const to = new URL(answer.headers.get("location") ?? "").pathname;
      statuses.set(to, (statuses.get(to) ?? 0) + 1);
    }
    expect([...statuses.keys()].toSorted()).toEqual(["/refused/busy", "/refused/session_lost"]);
    expect(statuses.get("/refused/session_lost")).toBe(exchanges().length);
    expect(exchanges().length).toBeLessThan(600);
    expect(receiver.logs.length).toBeLessThan(100);
    expect(traces).toBeGreaterThan(100);
    expect(traces).toBeLessThan(600);

    const refused = await connect(new Request(`${publicUrl}/refused/busy`), http.log, "192.0.2.1");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "30"]);
  });

  it("get tens of lines logged for unsigned security events", async () => {
    const { securityEvent, http } = receiver;
    for (const [n, client] of clients.entries()) {
      const init = { method: "POST", headers: SET, body: forged(n) };
      const answer = await securityEvent(new Request(`${http.publicUrl}/`, init), http.log, client);
      expect(answer.status).toBe(400);
    }
    expect(receiver.logs.length).toBeLessThan(50);
    const jwks = scenario.emulator.calls.filter(({ method }) => method.includes("certs"));
    expect(jwks.length).toBeLessThan(10);
    expect(traces).toBeLessThan(600);
  });
});
