import { FailedCall } from "../../functions/src/domain/failure.ts";
import { readFileSync } from "node:fs";
import { Gaxios } from "gaxios";
import { OAuth2Client } from "google-auth-library";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Printing, logPrinting } from "../../functions/src/platform/console-capture.ts";
import { googleEndpoints } from "../../functions/src/google/endpoints.ts";
import { googleClients } from "../../functions/src/google-clients.ts";
import { RunFailed, runScheduled } from "../../functions/src/platform/http.ts";
import { type LogFields, createLog, describeUnknown } from "../../functions/src/platform/log.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { runInfra } from "../support/infra-command.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { tokenKeys } from "../support/test-keys.ts";
import { show } from "./exposure.ts";

/**
 * Goal: nothing gets into a log that was not written for it. What a log line may hold is decided in
 * one place (L1); the errors of Google's libraries, which hold tokens, never reach it (L2); and a
 * stranger cannot write one (L4). L3, L6 and L7 are about whole processes: test/emulators.
 */

const TOKEN = "1//0gHdR4vK1xMarkedRefreshToken-of-the-logging-test_0001";
const CODE = "4/0AfMarkedAuthorizationCode-of-the-logging-test_0001";
const ACCESS = "ya29.a0MarkedAccessToken-of-the-logging-test_00000000001";
const SECRETS = [TOKEN, CODE, ACCESS, DEFAULT_CLIENT.clientSecret];

const ADA = "ada@example.com";

describe("L1: what a record may contain", () => {
  it("L1: strings, numbers, booleans and lists of strings, never an error", () => {
    const lines: string[] = [];
    const log = createLog((line) => void lines.push(line));
    const error = Object.assign(new Error(TOKEN), { config: { data: TOKEN }, cause: TOKEN });
    // @ts-expect-error: nor does it compile.
    const fields: LogFields = { error };
    const nested = { list: [error], nested: { error } } as unknown as LogFields;
    for (const own of [fields, nested]) {
      log.debug("mailbox_synced", "m", own);
      log.info("mailbox_synced", "m", own);
      log.warn("call_failed", "m", own);
      log.error("bad_request", "m", own);
      log.alert("misconfigured", "m", own);
    }
    log.with(fields).info("mailbox_synced", "m");
    expect(lines).toHaveLength(11);
    expect(findSecrets(lines.join("\n"), SECRETS)).toEqual([]);
  });
});

describe("L2: what Google's libraries throw", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  const failing = () => {
    const fault = { method: "*", count: "all", status: 400 } as const;
    const prose = `what was sent: ${TOKEN} ${CODE} ${ACCESS}`;
    const body = { error: "invalid_grant", error_description: prose };
    scenario.emulator.faults.failNext({ ...fault, body });
  };

  async function thrownBy(call: () => Promise<unknown>): Promise<unknown> {
    try {
      await call();
    } catch (error) {
      return error;
    }
    throw new Error("it did not throw");
  }

  it("L2: contains the refresh token, the code or the access token, and the log does not", async () => {
    failing();
    const { emulator } = scenario;
    const client = new OAuth2Client({
      ...DEFAULT_CLIENT,
      endpoints: { oauth2TokenUrl: `${emulator.url}/token` },
    });
    client.setCredentials({ refresh_token: TOKEN });
    const headers = { authorization: `Bearer ${ACCESS}` };
    const form = new URLSearchParams({ refresh_token: TOKEN, code: CODE });
    const http = new Gaxios({ retry: false });
    const errors = [
      await thrownBy(() => client.getAccessToken()),
      await thrownBy(() => client.getToken({ code: CODE, redirect_uri: "http://127.0.0.1" })),
      await thrownBy(() =>
        http.request({ url: `${emulator.url}/token`, method: "POST", data: form }),
      ),
      await thrownBy(() =>
        http.request({ url: `${emulator.url}/gmail/v1/users/me/profile`, headers }),
      ),
    ];
    for (const error of errors) {
      // If a library stops doing that, this test has lost its object.
      expect(findSecrets(show(error), SECRETS)).not.toEqual([]);
      expect(findSecrets(describeUnknown(error), SECRETS)).toEqual([]);
    }
  });

  it("L2: never leaves our own clients, however it is printed", async () => {
    failing();
    const { clock, config } = scenario;
    const endpoints = googleEndpoints(config.gmail.emulatorHost);
    const { oauth, gmail } = googleClients(config, endpoints, clock);
    const errors = [
      await thrownBy(() => oauth.refresh(TOKEN)),
      await thrownBy(() => oauth.exchangeCode(CODE, TOKEN, "http://127.0.0.1/callback")),
      await thrownBy(() => oauth.revoke(TOKEN)),
      await thrownBy(() => gmail.getProfile(ACCESS)),
      await thrownBy(() => gmail.stop(ACCESS)),
      await thrownBy(() => gmail.watch(ACCESS, config.gmail.topic, [])),
      await thrownBy(() => gmail.getInternalDate(ACCESS, "1")),
      await thrownBy(() => gmail.getDetail(ACCESS, "1", 1_000)),
    ];
    for (const error of errors) {
      expect(error).toBeInstanceOf(FailedCall);
      expect(findSecrets(show(error), SECRETS)).toEqual([]);
    }
  });
});

describe("L4, L5: what a stranger can write into the log", () => {
  it("L4: no line, no colour and no field of a record; L5: no email address", async () => {
    const scenario = await startScenario();
    try {
      await scenario.connect(ADA);
      const forged = 'x\r\n{"severity":"CRITICAL","event":"forged"}\u001b[31m\u2028';
      const inHeader = encodeURIComponent(forged);
      const { connect, gmailNotification, securityEvent, watchRenewal } = scenario.urls;
      const set = (header: object, claims: object) =>
        [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
      const signature = Buffer.from("x").toString("base64url");
      const bodies = [
        [...set({ alg: "RS256", kid: forged }, { iss: forged, aud: forged }), signature].join("."),
        [...set({ alg: forged, typ: forged }, { jti: forged }), signature].join("."),
        forged,
      ];
      for (const body of bodies) {
        const headers = { "content-type": `text/plain; ${inHeader}`, traceparent: inHeader };
        await fetch(securityEvent, { method: "POST", body, headers });
      }
      for (const error of [forged, "access_denied", ADA]) {
        const query = new URLSearchParams({ state: forged, error, code: forged });
        await fetch(`${connect}/callback?${query}`, { redirect: "manual" });
        await fetch(`${connect}/${inHeader}`, { headers: { traceparent: inHeader } });
      }
      await fetch(watchRenewal, { method: "POST", headers: { traceparent: inHeader } });
      for (const data of [forged, JSON.stringify({ emailAddress: forged, historyId: forged })]) {
        const message = { data: Buffer.from(data).toString("base64"), messageId: forged };
        await fetch(gmailNotification, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": "1",
            "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
            "ce-source": "//pubsub.googleapis.com/x",
          },
          body: JSON.stringify({ message, subscription: forged }),
        });
      }
      expect(scenario.logs.length).toBeGreaterThan(6);
      expect(scenario.logged("forged")).toEqual([]);
      for (const line of scenario.logs) {
        expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(JSON.parse(line)).toMatchObject({ event: expect.stringMatching(/^[a-z_]+$/) });
      }
      expect(scenario.logs.join("\n")).not.toContain(ADA);
    } finally {
      await scenario.close();
    }
  });
});

describe("L6: the output of libraries, and the errors of handlers", () => {
  const printedFrom = (print: (console: Printing) => void): string => {
    const lines: string[] = [];
    const console: Printing = { error: () => {}, warn: () => {} };
    logPrinting(
      console,
      createLog((line) => void lines.push(line)),
    );
    print(console);
    return lines.join("\n");
  };
  class Refused extends Error {
    override name = "Refused";
  }
  const ERRORS = [
    Object.assign(new SyntaxError(`Unexpected ${TOKEN}`), { body: TOKEN, config: { data: TOKEN } }),
    new Error(`first line\n${TOKEN}\n    at ${TOKEN.slice(0, 5)}`, { cause: new Error(TOKEN) }),
    new Refused(`no: ${TOKEN}`),
  ];

  it.each(ERRORS)("L6: keeps an error's class and place, never its message: %s", (error) => {
    const ways = [
      error,
      error.stack,
      String(error),
      `Exception from a finished function: ${error}`,
    ];
    for (const way of ways.slice(0, error instanceof Refused ? 2 : 4)) {
      const printed = printedFrom((console) => console.error(way));
      expect(findSecrets(printed, SECRETS)).toEqual([]);
      expect(printed).toContain(error.name === "Refused" ? "Refused" : "Error");
      expect(JSON.parse(printed)).toMatchObject({ severity: "ERROR", event: "library_error" });
    }
    expect(printedFrom((console) => console.error(error.stack))).toContain("logging.test.ts");
  });

  it("L6: keeps a plain sentence, and nothing of any other object", () => {
    const sentence = "Function 'nobody' is not defined in the provided module.";
    const printed = printedFrom((console) => {
      console.error(sentence, { token: TOKEN }, [TOKEN], null, undefined);
      console.warn("Unhandled rejection");
    });
    const [first, second] = printed.split("\n").map((line) => JSON.parse(line) as object);
    const kinds = ["object", "object", "null", "undefined"];
    expect(first).toMatchObject({ printed: [sentence, ...kinds] });
    expect(second).toMatchObject({ severity: "WARNING", printed: ["Unhandled rejection"] });
  });

  it("L6: throws only its own message from a scheduled run", async () => {
    const lines: string[] = [];
    const log = createLog((line) => void lines.push(line));
    const http = { publicUrl: "http://127.0.0.1", projectId: "p", loadBalancers: 0, log };
    const server = { http };
    for (const [getServer, run] of [
      [() => Promise.resolve(server), () => Promise.reject(ERRORS[0])],
      [() => Promise.reject<typeof server>(ERRORS[0]), () => Promise.resolve()],
    ] as const) {
      const thrown: unknown = await runScheduled(getServer, run).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(RunFailed);
      expect(findSecrets(show(thrown), SECRETS)).toEqual([]);
    }
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      event: "request_failed",
      error: "SyntaxError",
    });
  });
});

describe("L7, L8: what lies outside the code", () => {
  it("L7: no package logs headers, queries or bodies of requests by itself", () => {
    const { dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
      dependencies: Record<string, string>;
    };
    const recording = /instrumentation|auto-instr|trace-agent|debug-agent|profiler|sentry|winston/;
    expect(Object.keys(dependencies).filter((name) => recording.test(name))).toEqual([]);
  });

  it("L8: a key ring enters and leaves `npm run keys` by pipes, and appears nowhere else", async () => {
    const ring = tokenKeys("a", "b");
    const secrets = Object.values((JSON.parse(ring) as { keys: Record<string, string> }).keys);
    for (const input of [ring, `${ring}x`]) {
      for (const args of [["generate", "--add", "--id", "c"], ["verify"]]) {
        const { stderr } = await runInfra("keys", args, { input, env: { TOKEN_KEYS: input } });
        expect([args, stderr.length > 0 || input === ring]).toEqual([args, true]);
        expect([args, findSecrets(stderr, secrets)]).toEqual([args, []]);
      }
    }
  });
});
