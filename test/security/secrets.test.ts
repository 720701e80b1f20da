import type { Call } from "../../functions/src/domain/failure.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { registerFunctions } from "../../functions/src/entries/register.ts";
import type { UserStore } from "../../functions/src/domain/user.ts";
import { type GoogleError, googleErrors } from "../unit/google-errors.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { realAfter } from "../local/stack.ts";
import { type Browser, openBrowser, throughGoogle } from "../support/browser.ts";
import { linkIn } from "../support/mail-sink.ts";
import type { Connected, Scenario } from "../support/scenario.ts";
import { type SecondInstance, startSecondInstance } from "../support/second-instance.ts";
import { type Exposed, RETURN_TO, SET, startExposed } from "./exposure.ts";
import { begin, changed, cookieHeader, linkOf } from "../support/flow.ts";

/**
 * Goal: no token, code, verifier, ID token, client secret, password or key is seen in a log, an
 * answer, an event, a mail, the store or an error, whatever goes wrong. Everything that leaves the
 * receiver is recorded and searched after each test, in every encoding.
 */

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let exposed: Exposed;
let scenario: Scenario;
beforeEach(async () => {
  exposed = await startExposed();
  ({ scenario } = exposed);
});
afterEach(async () => {
  const leaks = exposed.leaks();
  await exposed.close();
  assert.deepEqual(leaks, []);
});

async function reconcile(ms = HOUR_MS): Promise<void> {
  scenario.clock.advance(ms);
  await scenario.runSchedule("mailboxReconciliation");
  await scenario.settled();
}

async function renew(): Promise<void> {
  scenario.clock.advance(25 * HOUR_MS);
  await scenario.runSchedule("watchRenewal");
  await scenario.settled();
}

async function disconnect({ browser }: Connected): Promise<void> {
  const page = await (await browser.get(`${scenario.publicUrl}/`)).text();
  const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
  await browser.post(`${scenario.publicUrl}/disconnect`, { csrf });
}

async function reauthorize(link: string, email: string, browser = openBrowser()) {
  const toGoogle = await browser.post(link, {});
  if (!toGoogle.headers.has("location")) return;
  await throughGoogle(scenario.emulator, browser, toGoogle, { account: email });
  await scenario.settled();
}

const postEvent = (body: string, headers: Record<string, string> = {}) =>
  fetch(scenario.urls.securityEvent, {
    method: "POST",
    body,
    headers: { "content-type": "application/secevent+jwt", ...headers },
  });

const signed = (type: string, detail: Record<string, unknown> = {}, email = ADA) =>
  scenario.emulator.securityEvent({
    type,
    audience: DEFAULT_CLIENT.clientId,
    account: email,
    detail,
  });

const newest = (prefix: string) =>
  scenario.emulator.secretsIssued().findLast((secret) => secret.startsWith(prefix)) ?? "";

/** The letters of a secret, without every fifth: a token can have many letters in a row. */
const lettersOf = (secret: string) =>
  secret.replaceAll(/[^A-Za-z]/g, "").replaceAll(/(.{4})./g, "$1");

/** What a careless party would quote: all that it can have been sent, and what we are set up with. */
const quoted = () => {
  const { clientSecret, returnToSecret } = SET;
  const tokens = [newest("1//"), newest("ya29."), newest("4/")];
  return [...tokens, clientSecret, returnToSecret].join(" ");
};

describe("the whole story", () => {
  it("connect, sync, renew, rotate, flag, mail, security events, reauthorize, disconnect", async () => {
    const connected = await scenario.connect(ADA);
    expect(connected.status).toBe(200);
    for (let round = 0; round < 3; round++) {
      scenario.emulator.settings.refreshTokenRotations = 1;
      scenario.emulator.deliver(ADA, { subject: "hello" });
      await scenario.settled();
      await renew();
      await reconcile();
    }
    // Back to an application, with what it is told in the address.
    const query = `?${new URLSearchParams({ return_to: RETURN_TO, app_state: "mine" })}`;
    const flow = await begin(scenario, ADA, { browser: connected.browser, query });
    const answer = await flow.browser.ask(flow.back.href);
    expect(answer.headers.get("location")).toContain("connection=");

    for (const [type, detail] of [
      ["risc/event-type/sessions-revoked", {}],
      ["risc/event-type/verification", { state: "state" }],
      ["oauth/event-type/tokens-revoked", {}],
    ] as const) {
      scenario.clock.advance(HOUR_MS);
      expect((await postEvent(signed(type, detail))).status).toBe(202);
    }
    scenario.clock.advance(HOUR_MS);
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    await reconcile(MINUTE_MS);
    expect(exposed.sink.mails).toHaveLength(1);
    const [mail] = exposed.sink.mails;
    await reauthorize(mail === undefined ? "" : linkIn(mail), ADA);
    expect(scenario.stored(ADA).grant.generation).toBe(3);
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await reauthorize(linkOf(scenario, ADA), ADA, connected.browser);
    await disconnect(connected);
    expect(scenario.stored(ADA).status).toBe("disconnected");

    // What was searched for, and where: none of it was empty.
    const secrets = exposed.secrets();
    const kinds = { "1//": 5, "ya29.": 8, "4/": 4, "GOCSPX-": 1 };
    for (const [prefix, least] of Object.entries(kinds)) {
      const found = secrets.filter((secret) => secret.startsWith(prefix));
      expect([prefix, found.length >= least]).toEqual([prefix, true]);
    }
    expect(exposed.toGoogle()).toContain("code_verifier=");
    const verifiers = secrets.filter((secret) => /^[\w-]{43}$/.test(secret));
    const idTokens = secrets.filter((secret) => /^[\w-]{342}$/.test(secret));
    expect([verifiers.length >= 4, idTokens.length >= 4]).toEqual([true, true]);
    expect(scenario.logs.length).toBeGreaterThan(10);
  });

  it("no log line contains an email address, a link, a state or a cookie", async () => {
    const { browser } = await scenario.connect(ADA);
    const flow = await begin(scenario, ADA, { browser });
    const cookies = [...browser.cookies.values()];
    await browser.get(flow.back.href);
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await reconcile(MINUTE_MS);
    const link = linkOf(scenario, ADA).split("/").at(-1) ?? "";
    await browser.get(`${linkOf(scenario, ADA)}?refused=declined`);
    await browser.get(`${scenario.publicUrl}/reauthorize/${link}x`);
    const logged = scenario.logs.join("\n");
    const state = flow.asked.searchParams.get("state") ?? "";
    expect([link.length, state.length, cookies.length].every((length) => length > 0)).toBe(true);
    expect(
      [link, state, ...cookies].filter((held) => held !== "done" && logged.includes(held)),
    ).toEqual([]);
    expect(logged).not.toContain("@example.com");
    const stored = JSON.stringify(scenario.users.dump());
    expect(
      [link, state, ...cookies].filter((held) => held !== "done" && stored.includes(held)),
    ).toEqual([]);
  });
});

describe("bad input of a stranger, a browser or Google", () => {
  it("at the callback: wrong state, twice, declined, no cookie, an unexpected code", async () => {
    const flow = await begin(scenario, await account("a@example.com"));
    const answers = [
      await openBrowser().ask(flow.back.href),
      await flow.browser.ask(changed(flow.back, (params) => params.set("state", "other"))),
      await flow.browser.ask(changed(flow.back, (params) => params.append("code", "4/0second"))),
      await flow.browser.ask(changed(flow.back, (params) => params.set("error", newest("4/")))),
      await flow.browser.ask(`${flow.back.href.replace("/callback", "/start")}`),
      await flow.browser.ask(`${flow.back.href.replace("/callback", "/refused/declined")}`),
      await flow.browser.ask(flow.back.href, { "sec-purpose": "prefetch" }),
      await flow.browser.ask(flow.back.href),
      await flow.browser.ask(flow.back.href),
      await flow.browser.post(flow.back.href, { code: newest("4/") }),
    ];
    // What the page of a refusal says, and where /start leads, is the matter of other tests.
    const statuses = answers.map(({ status }) => status);
    expect(statuses.toSpliced(4, 2)).toEqual([303, 303, 303, 303, 503, 303, 303, 405]);
    const declined = await begin(scenario, await account("b@example.com"), { decline: true });
    await declined.browser.get(declined.back.href);
    for (const untick of [["https://www.googleapis.com/auth/gmail.metadata"]]) {
      const partial = await begin(scenario, await account("c@example.com"), { untick });
      await partial.browser.get(partial.back.href);
    }
    expect(scenario.logged("authorization_refused").length).toBeGreaterThan(3);
  });

  it("at securityEvent: tokens of another kind, of another key, truncated, and with another content type", async () => {
    await scenario.connect(ADA);
    const idToken =
      scenario.emulator.secretsIssued().find((secret) => secret.startsWith("eyJ")) ?? "";
    const token = signed("risc/event-type/sessions-revoked");
    const bodies = [
      idToken,
      `${token}x`,
      token.split(".").slice(0, 2).join("."),
      newest("1//"),
      JSON.stringify({ token: newest("ya29.") }),
    ];
    for (const body of bodies) {
      expect((await postEvent(body)).status).toBe(400);
      const asForm = { "content-type": "application/x-www-form-urlencoded" };
      expect((await postEvent(body, asForm)).status).toBe(400);
    }
    for (const method of ["discovery", "certs"]) {
      scenario.clock.advance(2 * HOUR_MS);
      const failing = { method, count: "all", status: 500, body: quoted() } as const;
      scenario.emulator.faults.failNext(failing);
      await postEvent(signed("risc/event-type/sessions-revoked"));
      scenario.emulator.faults.clear();
    }
    expect(scenario.logged("security_event_refused")).toHaveLength(10);
  });
});

describe("every failure of Google", () => {
  /** By the emulator's names, the calls that can see such an answer. */
  const TOKEN = ["token.code", "token.refresh", "revoke", "certs", "discovery"];
  const GMAIL = [
    "users.watch",
    "users.stop",
    "users.getProfile",
    "history.list",
    "messages.list",
    "messages.get",
  ];
  const isOfToken = (call: Call) => /^(token|jwks|risc)/.test(call);

  /** The same answer, with what was sent quoted in its prose, its headers and beside them. */
  function quoting({ body, headers }: GoogleError): { body: unknown; headers: object } {
    const prose = quoted();
    const within = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(within);
      if (typeof value !== "object" || value === null) return value;
      const entries = Object.entries(value).map(([name, held]) => [
        name,
        /message|description/.test(name) ? `${String(held)} ${prose}` : within(held),
      ]);
      return { ...Object.fromEntries(entries), request: prose };
    };
    const asText = `${typeof body === "string" ? body : ""}${prose}`;
    return {
      body: typeof body === "object" && body !== null ? within(body) : asText,
      headers: { ...headers, "www-authenticate": `Bearer error="${prose}"`, "x-request": prose },
    };
  }

  /** Everything that calls Google once, with the first call of each method meeting its fault. */
  async function liveThrough(email: string, meet: (method: string) => void, methods: string[]) {
    await scenario.connect(email);
    scenario.clock.advance(2 * HOUR_MS);
    for (const method of methods) meet(method);
    scenario.emulator.deliver(email, {});
    await scenario.settled();
    scenario.emulator.expireHistory(email);
    await renew();
    await reconcile();
    await reconcile();
    const flow = await begin(scenario, email);
    await flow.browser.get(flow.back.href);
    // By now the session is over, and the next exchange of a code goes well.
    await disconnect(await scenario.connect(email, { exists: true }));
    // The first finds no discovery document, the second no keys.
    for (const about of [email, email]) {
      await postEvent(signed("risc/event-type/sessions-revoked", {}, about));
      await reconcile();
    }
    exposed.note("store", JSON.stringify(scenario.stored(email)));
    scenario.emulator.faults.clear();
  }

  const served = googleErrors.filter(({ status }) => status !== undefined);

  it.each([
    [
      "the token endpoint and the endpoints next to it",
      served.filter(({ call }) => isOfToken(call)),
      TOKEN,
    ],
    ["the Gmail API", served.filter(({ call }) => !isOfToken(call)), GMAIL],
  ] as const)(
    "in an answer of %s that quotes what it was asked",
    async (_, errors, methods) => {
      expect(errors.length).toBeGreaterThan(20);
      for (const [index, error] of errors.entries()) {
        const { status = 500 } = error;
        await liveThrough(
          `user${index}@example.com`,
          (method) =>
            scenario.emulator.faults.failNext({
              method,
              status,
              ...(quoting(error) as { body: unknown; headers: Record<string, string> }),
            }),
          [...methods],
        );
      }
      const failed = scenario.emulator.calls.filter(({ status }) => status >= 400);
      const met = new Set(failed.map(({ method }) => method));
      expect([...methods].filter((method) => !met.has(method))).toEqual([]);
    },
    180_000,
  );

  it("in invalid responses, and without a response", async () => {
    const MALFORMED: [status: number, body: () => unknown][] = [
      [200, () => quoted()],
      [200, () => ({ error: newest("1//"), error_description: quoted() })],
      [200, () => ({ access_token: { token: newest("ya29.") }, refresh_token: 5 })],
      [200, () => ({ access_token: newest("ya29."), id_token: `${quoted()}.x.y`, expires_in: 99 })],
      [200, () => ({ historyId: newest("ya29."), history: [{ id: quoted(), messages: 5 }] })],
      [200, () => ({ messages: [{ id: newest("ya29."), threadId: newest("1//") }] })],
      // It reads like a code, so it becomes the reason: no part of the token may be left in it.
      [400, () => ({ error: lettersOf(newest("1//")), error_subtype: quoted() })],
      [
        403,
        () => ({ error: { code: 403, errors: [{ reason: newest("ya29.") }], status: quoted() } }),
      ],
      [404, () => ({ error: { details: [{ reason: newest("1//"), metadata: quoted() }] } })],
      [500, () => `<html><p>${quoted()}</p></html>`],
    ];
    const all = [...TOKEN, ...GMAIL];
    for (const [index, [status, body]] of MALFORMED.entries()) {
      await liveThrough(
        `user${index}@example.com`,
        (method) => scenario.emulator.faults.failNext({ method, status, body: body() }),
        all,
      );
    }
    for (const [index, afterEffect] of [false, true].entries()) {
      await liveThrough(
        `cut${index}@example.com`,
        (method) => scenario.emulator.faults.dropNext({ method, afterEffect }),
        all,
      );
    }
    expect(scenario.emulator.calls.some(({ status }) => status === 0)).toBe(true);
    expect(scenario.logged("id_token_rejected").length).toBeGreaterThan(0);
  }, 120_000);
});

describe("a failure of another service", () => {
  /** As Firestore, a driver or a proxy would complain, with everything that it was given. */
  const complaint = () =>
    Object.assign(new Error(`3 INVALID_ARGUMENT: ${quoted()}`), {
      code: 3,
      details: quoted(),
      document: scenario.users.dump(),
      config: { data: `refresh_token=${newest("1//")}`, headers: { authorization: quoted() } },
      cause: new TypeError(quoted()),
    });

  const METHODS: (keyof UserStore)[] = [
    "find",
    "findByEmailAddress",
    "findByTokenDigest",
    "listDue",
    "update",
    "authorize",
  ];

  it.each(METHODS)(
    "of the store, when %s fails with an error that contains the documents",
    async (name) => {
      const connected = await scenario.connect(ADA);
      const users = { ...scenario.users, [name]: () => Promise.reject(complaint()) };
      expect(
        await failuresOf(startSecondInstance({ ...scenario, users }, {}), connected),
      ).not.toEqual([]);
    },
  );

  it("of the list of seen security events", async () => {
    const connected = await scenario.connect(ADA);
    const fails = () => Promise.reject(complaint());
    const seenEvents = { ...scenario.seenEvents, has: fails, add: fails };
    expect(
      await failuresOf(startSecondInstance({ ...scenario, seenEvents }, {}), connected),
    ).not.toEqual([]);
  });

  it("of publishing", async () => {
    const connected = await scenario.connect(ADA);
    const topic = { ...scenario.topic, publish: () => Promise.reject(complaint()) };
    expect(
      await failuresOf(startSecondInstance({ ...scenario, topic }, {}), connected),
    ).not.toEqual([]);
  });

  it.each([
    [535, `5.7.8 wrong password ${SET.smtpPassword}`],
    [454, `4.7.0 not now, ${SET.smtpPassword}`],
    [550, `5.1.1 ${SET.smtpPassword}`],
  ])("of the mail server, which repeats our password in a %i", async (code, text) => {
    await scenario.connect(ADA);
    exposed.sink.replies = { connect: [code, text], sender: [code, text], data: [code, text] };
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    for (const step of ["connect", "sender", "data"] as const) {
      await reconcile();
      delete exposed.sink.replies[step];
    }
    const failed = ["notice_misconfigured", "notice_failed", "notice_refused"];
    expect(failed.flatMap((event) => scenario.logged(event)).length).toBeGreaterThan(0);
  });

  /**
   * Every function of such an instance, called by hand and served. Whatever it throws is noted; the
   * log lines that tell of a failure are returned.
   */
  async function failuresOf(instance: SecondInstance, { browser }: Connected): Promise<string[]> {
    scenario.emulator.setPush({ kind: "none" });
    scenario.emulator.deliver(ADA, {});
    scenario.clock.advance(25 * HOUR_MS);
    const thrown = await Promise.allSettled([
      instance.notify(ADA),
      instance.watchRenewal(),
      instance.mailboxReconciliation(),
    ]);
    exposed.note("thrown by gmailNotification", thrown[0]);

    const served = await serve(instance);
    const answers = [
      await fetch(served.url("watchRenewal"), { method: "POST" }),
      await fetch(served.url("mailboxReconciliation"), { method: "POST" }),
      await fetch(served.url("securityEvent"), {
        method: "POST",
        body: scenario.emulator.securityEvent({
          type: "oauth/event-type/token-revoked",
          audience: DEFAULT_CLIENT.clientId,
          refreshToken: { token: newest("1//"), namedBy: "prefix" },
        }),
      }),
    ];
    // After this the grant has ended, so that there is somebody to flag.
    scenario.emulator.changePassword(ADA);
    scenario.clock.advance(HOUR_MS);
    answers.push(await fetch(served.url("mailboxReconciliation"), { method: "POST" }));
    for (const on of [browser, openBrowser()]) {
      answers.push(await status(on, served.url("connect")));
      const flow = await begin(scenario, ADA, { browser: on });
      answers.push(await follow(flow.back.href, on, served.url("connect")));
    }
    const csrf = { csrf: "x".repeat(43) };
    answers.push(
      await browser.post(`${served.url("connect")}/disconnect`, csrf, scenario.publicUrl),
    );
    for (const answer of answers) {
      exposed.note("answer", [answer.status, ...answer.headers].join("\n"));
      exposed.note("answer", await answer.text());
    }
    await served.close();
    exposed.note("log", instance.logs.join("\n"));
    return instance.logs.filter((line) => /"error":"|_failed"|_not_recorded"/.test(line));
  }

  const status = (browser: Browser, url: string) =>
    fetch(url, { headers: { cookie: cookieHeader(browser) }, redirect: "manual" });

  function follow(back: string, browser: Browser, url: string): Promise<Response> {
    const headers = { cookie: cookieHeader(browser) };
    return fetch(back.replace(scenario.publicUrl, url), { headers, redirect: "manual" });
  }

  async function serve(instance: SecondInstance) {
    registerFunctions(() => Promise.resolve(instance), realAfter);
    const servers = new Map<string, Server>();
    for (const name of ["connect", "securityEvent", "watchRenewal", "mailboxReconciliation"]) {
      const server = getTestServer(name).listen(0, "127.0.0.1");
      await once(server, "listening");
      servers.set(name, server);
    }
    return {
      url: (name: string) => {
        const address = servers.get(name)?.address() as AddressInfo | undefined;
        return `http://127.0.0.1:${address?.port}`;
      },
      async close() {
        for (const server of servers.values()) {
          server.closeAllConnections();
          server.close();
        }
        await Promise.resolve();
      },
    };
  }
});

describe("requests to Google", () => {
  it("L8: have no secret in a URL, not even a revocation", async () => {
    await disconnect(await scenario.connect(ADA));
    const lines = exposed.toGoogle().match(/^(GET|POST|PUT|DELETE) \S+ HTTP\/1\.1/gm) ?? [];
    expect(lines).toContain("POST /revoke HTTP/1.1");
    expect(lines.length).toBeGreaterThan(4);
    exposed.note("address", lines.join("\n"));
  });
});

async function account(email: string): Promise<string> {
  scenario.emulator.createAccount({ email });
  return email;
}
