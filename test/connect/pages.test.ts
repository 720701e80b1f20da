import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EN } from "../../functions/src/texts/en.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { APPLICATION, openEveryPage } from "../support/every-page.ts";
import { httpVisitor } from "../support/http-visitor.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { begin, endGrant, linkOf } from "../support/flow.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
});
afterEach(() => scenario.close());

/** Every page that people see, as its response. */
async function everyPage(): Promise<Map<string, Response>> {
  await scenario.close();
  scenario = await startScenario({ env: { RETURN_TO_URLS: APPLICATION } });
  const visitor = httpVisitor(scenario, "ada@example.com");
  const pages = new Map<string, Response>();
  await openEveryPage(scenario, visitor, (name) => void pages.set(name, visitor.page()));
  return pages;
}

describe("headers", () => {
  const ALWAYS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  };

  function check(name: string, { headers }: Response): void {
    const found = Object.fromEntries(Object.keys(ALWAYS).map((key) => [key, headers.get(key)]));
    expect({ name, ...found }).toEqual({ name, ...ALWAYS });
    const policy = headers.get("content-security-policy") ?? "";
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) {
      expect(`${name}: ${policy}`).toContain(part);
    }
    expect(policy).not.toMatch(/unsafe|\*|script-src/);
    expect(headers.get("permissions-policy")).toMatch(/camera=\(\).*geolocation=\(\)/);
    expect(headers.get("x-powered-by")).toBeNull();
    expect(headers.get("server")).toBeNull();
  }

  it("headers: every page has all of them", async () => {
    const pages = await everyPage();
    expect(pages.size).toBeGreaterThan(30);
    for (const [name, response] of pages) {
      check(name, response);
      expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    }
  });

  it("headers: redirects, refusals and the other functions have them, too", async () => {
    const { publicUrl, urls } = scenario;
    const post = { method: "POST" };
    const answers: [name: string, answer: Response, status: number][] = [
      ["start", await openBrowser().ask(`${publicUrl}/start`), 303],
      ["callback", await openBrowser().ask(`${publicUrl}/callback`), 303],
      ["method", await fetch(`${publicUrl}/callback`, post), 405],
      ["form", await fetch(`${publicUrl}/disconnect`, post), 415],
      ["prefetch", await fetch(publicUrl, { headers: { "sec-purpose": "prefetch" } }), 503],
      ["size", await fetch(publicUrl, { ...post, body: "a".repeat(70_000) }), 413],
      ["schedule", await fetch(urls.watchRenewal, post), 204],
      ["schedule by GET", await fetch(urls.mailboxReconciliation), 405],
      ["security event by GET", await fetch(urls.securityEvent), 405],
    ];
    for (const [name, answer, status] of answers) {
      expect(`${name} ${answer.status}`).toBe(`${name} ${status}`);
      check(name, answer);
      // One fixed body per status, which says nothing else.
      expect(await answer.text()).toMatch(status < 400 ? /^$/ : /^\{"error":"[a-z ]+"\}$/);
    }
  });
});

/** Pages with a button that leads to Google. */
const LEADING_TO_GOOGLE = new Set([
  "handover",
  "reauthorize",
  "reauthorize-declined",
  "reauthorize-signed-in",
  "reauthorize-longest",
  "unavailable",
]);

describe("what pages load and show", () => {
  it("O16: no script, no style without its hash in the policy, nothing from another origin", async () => {
    for (const [name, response] of await everyPage()) {
      const text = await response.text();
      expect(
        `${name}: ${/<script|javascript:| on\w+=|style="|<link|<iframe|@import|url\(/i.exec(text)}`,
      ).toBe(`${name}: null`);
      const [, style = ""] = /<style>([^]*?)<\/style>/.exec(text) ?? [];
      const hash = createHash("sha256").update(style).digest("base64");
      const policy = response.headers.get("content-security-policy") ?? "";
      expect(policy).toContain(`style-src 'sha256-${hash}'`);
      expect(policy).not.toContain("img-src");
      const addresses = [...text.matchAll(/(?:href|src|action)="([^"]*)"/g)].map(([, url]) => url);
      expect(addresses.filter((url) => url?.startsWith(`${scenario.publicUrl}/`) !== true)).toEqual(
        [],
      );
    }
  });

  it("O16: only the pages that lead to Google allow forms to Google", async () => {
    for (const [name, { headers }] of await everyPage()) {
      const leads = LEADING_TO_GOOGLE.has(name);
      const targets = leads ? `'self' http://${scenario.emulator.host}` : "'self'";
      expect(headers.get("content-security-policy")).toContain(`form-action ${targets};`);
    }
  });

  it("O16: shows addresses and names only as text", async () => {
    await scenario.close();
    const name = `<b onmouseover="alert(1)">A & B's</b>`;
    scenario = await startScenario({ env: { APP_NAME: name } });
    const { publicUrl } = scenario;
    const email = "o'brien&b@example.com";
    const { browser } = await scenario.connect(email);
    await endGrant(scenario, email);
    const link = linkOf(scenario, email);
    const payload = `"><img src=x onerror=alert(1)>`;
    const encoded = encodeURIComponent(payload);
    for (const path of [
      `${publicUrl}/`,
      `${publicUrl}/?error_description=${encoded}`,
      `${publicUrl}/refused/declined?return_to=${encoded}&${encoded}=${encoded}`,
      `${publicUrl}/refused/declined?${payload}`,
      `${publicUrl}/refused/${encoded}`,
      `${publicUrl}/reauthorize/${encoded}`,
      `${link}?refused=${encoded}`,
      `${publicUrl}/start?return_to=${encoded}`,
      `${publicUrl}/${encoded}`,
    ]) {
      const text = await (await browser.get(path)).text();
      expect(text).toContain("&lt;b onmouseover=&quot;alert(1)&quot;&gt;A &amp; B&#39;s&lt;/b&gt;");
      expect(text).not.toMatch(/<b |<img/);
    }
    const status = await (await browser.get(`${publicUrl}/`)).text();
    expect(status).toContain("o&#39;brien&amp;b@example.com");
  });

  it("a link shows its address only to its owner: it is masked until they sign in", async () => {
    const { browser } = await scenario.connect(ADA);
    const { id } = scenario.stored(ADA);
    await endGrant(scenario, ADA);
    const link = linkOf(scenario, ADA);
    const stranger = openBrowser();
    for (const url of [link, `${link}?refused=wrong_account`]) {
      const text = await (await stranger.get(url)).text();
      expect(text).toContain("a***@example.com");
      expect(text).not.toContain(ADA);
    }
    const pressed = await stranger.post(link, {});
    const toGoogle = new URL(pressed.headers.get("location") ?? "");
    expect(toGoogle.searchParams.get("login_hint")).toBe(id);
    expect(toGoogle.href).not.toMatch(/ada(@|%40)/);
    const own = await (await browser.get(`${scenario.publicUrl}/`)).text();
    expect(own).toContain(ADA);
  });

  it("a logo adds only its origin to the policy; name and support address are shown", async () => {
    await scenario.close();
    scenario = await startScenario({
      env: {
        APP_NAME: "Tidy Desk",
        APP_LOGO_URL: "https://static.tidy.example/brand/logo.svg",
        SUPPORT_EMAIL: "help@tidy.example",
      },
    });
    const response = await fetch(scenario.publicUrl);
    expect(response.headers.get("content-security-policy")).toContain(
      "; img-src https://static.tidy.example;",
    );
    const text = await response.text();
    expect(text).toMatch(
      /<img src="https:\/\/static\.tidy\.example\/brand\/logo\.svg" alt="" [^>]*referrerpolicy="no-referrer"/,
    );
    expect(text).toContain("<title>Connect your Gmail account – Tidy Desk</title>");
    expect(text).toContain('<a href="mailto:help@tidy.example">help@tidy.example</a>');
  });

  it("an error is a page with its own status; every unknown URL gets one page", async () => {
    const statuses: Record<string, number> = {};
    for (const error of Object.keys(EN.errors)) {
      const response = await fetch(`${scenario.publicUrl}/refused/${error}`);
      statuses[error] = response.status;
      expect(await response.text()).toMatch(/<h1>[^<]+<\/h1>/);
    }
    expect(statuses).toEqual({
      declined: 400,
      domain_refused: 403,
      ticket_refused: 403,
      administrator_decides: 403,
      google_refused: 403,
      scopes_missing: 400,
      wrong_account: 403,
      link_expired: 410,
      session_lost: 400,
      already_done: 409,
      identity_refused: 400,
      address_unverified: 400,
      mailbox_unavailable: 400,
      try_later: 503,
      busy: 429,
      return_refused: 400,
      not_found: 404,
      forbidden: 403,
    });
    const nowhere = await (await fetch(`${scenario.publicUrl}/nowhere`)).text();
    for (const path of ["refused/__proto__", "refused/constructor", "refused/x", "callback/"]) {
      const response = await fetch(`${scenario.publicUrl}/${path}`);
      expect(response.status).toBe(404);
      expect(await response.text()).toBe(nowhere);
    }
  });
});

describe("what a person reads", () => {
  const read = async (path: string, browser = openBrowser()) =>
    (await browser.get(`${scenario.publicUrl}${path}`)).text();

  it("up to when the stream is complete, and what was recovered, for as long as that is news", async () => {
    const { browser } = await scenario.connect(ADA);
    const { syncedAt } = scenario.stored(ADA).sync;
    const page = await read("/", browser);
    expect(page).toContain(`<time datetime="${syncedAt?.toISOString()}">`);
    expect(page).not.toContain("you missed");

    await endGrant(scenario, ADA);
    const toGoogle = await browser.post(linkOf(scenario, ADA), {});
    const back = await throughGoogle(scenario.emulator, browser, toGoogle, { account: ADA });
    const welcome = await back.text();
    expect(welcome).toContain("We delivered the one change you missed.");
    // A page that is loaded again says the same.
    expect(await read("/", browser)).toContain("We delivered the one change");
    scenario.clock.advance(10 * MINUTE_MS);
    expect(await read("/", browser)).not.toContain("meanwhile");
  });

  it("that more will follow, when not everything that was missed could be read", async () => {
    await scenario.connect(ADA);
    await endGrant(scenario, ADA);
    const browser = openBrowser();
    scenario.emulator.faults.failNext({ method: "history.list", status: 503, count: "all" });
    const toGoogle = await browser.post(linkOf(scenario, ADA), {});
    const back = await throughGoogle(scenario.emulator, browser, toGoogle, { account: ADA });
    const page = await back.text();
    expect(page).toContain("There are more changes to deliver");
    expect(page).not.toContain("miss any changes");
  });

  it("that changes are late, once the delay is published", async () => {
    const { browser } = await scenario.connect(ADA);
    scenario.emulator.faults.failNext({ method: "gmail", preset: "callerForbidden", count: "all" });
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(await read("/", browser)).toContain("There are more changes to deliver");
    for (let minutes = 0; minutes < 40; minutes += 5) {
      scenario.clock.advance(5 * MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
    }
    const late = await read("/", browser);
    expect(late).toContain("Changes are running late");
    expect(late).not.toContain("There are more changes to deliver");
  });

  it("that access has ended, and never why", async () => {
    const ends = [
      (email: string) => scenario.emulator.changePassword(email),
      (email: string) => scenario.emulator.revokeAccess(email),
      (email: string) => scenario.emulator.expireRefreshTokens(email),
    ];
    const pages: string[] = [];
    for (const [index, end] of ends.entries()) {
      const email = `person${index}@example.com`;
      await scenario.connect(email);
      end(email);
      scenario.emulator.expireAccessTokens(email);
      scenario.emulator.deliver(email);
      await scenario.settled();
      const page = await (await openBrowser().get(linkOf(scenario, email))).text();
      pages.push(page.replaceAll(email, "").replaceAll(linkOf(scenario, email), ""));
    }
    expect(pages[0]).toContain("Allow access to your Gmail account again");
    expect(pages[0]).not.toMatch(/password|revoked|removed|you (have )?(changed|ended)|because/i);
    expect(new Set(pages).size).toBe(1);
  });

  it.each([
    ["invalid_grant", "invalid_rapt", "Your organization asks people to sign in again"],
    ["admin_policy_enforced", undefined, "An administrator of your organization decides"],
  ])("what to do where Google said more: %s %s", async (error, error_subtype, hint) => {
    await scenario.connect(ADA);
    scenario.emulator.expireAccessTokens(ADA);
    scenario.emulator.faults.failNext({
      method: "token.refresh",
      count: "all",
      status: 400,
      body: { error, ...(error_subtype !== undefined && { error_subtype }) },
    });
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(await (await openBrowser().get(linkOf(scenario, ADA))).text()).toContain(hint);
  });

  it("that the mailbox, not the grant, is the problem", async () => {
    const { browser } = await scenario.connect(ADA);
    scenario.emulator.setMailService(ADA, "off");
    scenario.clock.advance(DAY_MS - MINUTE_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
    expect(await read("/", browser)).toContain("read this Gmail account right now");
  });

  it("to contact support when it ends every week; and the operator, to publish the consent screen", async () => {
    await scenario.close();
    // Google sends `refresh_token_expires_in` with such tokens, too.
    const client = { ...DEFAULT_CLIENT, refreshTokenMs: 7 * DAY_MS };
    scenario = await startScenario({ emulator: { clients: [client] } });
    const { emulator, publicUrl, clock } = scenario;
    emulator.setRedirectUris(client.clientId, [`${publicUrl}/callback`]);
    const pageOf = async (email: string) => {
      await scenario.runSchedule("mailboxReconciliation");
      return (await openBrowser().get(linkOf(scenario, email))).text();
    };
    for (const email of [ADA, "bob@example.com"]) await scenario.connect(email);
    clock.advance(3 * DAY_MS);
    emulator.revokeAccess("bob@example.com");
    expect(await pageOf("bob@example.com")).not.toContain("every week");
    expect(scenario.logged("oauth_testing_mode_suspected")).toEqual([]);
    clock.advance(4 * DAY_MS);
    expect(await pageOf(ADA)).toContain("every week");
    expect(scenario.logged("oauth_testing_mode_suspected")).toMatchObject([
      { severity: "WARNING", userId: scenario.stored(ADA).id },
    ]);
  });

  it("no personal data on a stranger's pages", async () => {
    const { browser } = await scenario.connect(ADA);
    const { back } = await begin(scenario, ADA, { browser, decline: true });
    const refused = await browser.get(back.href);
    expect(await refused.text()).not.toContain(ADA);
    for (const path of ["/", "/refused/wrong_account", "/nowhere"]) {
      expect(await read(path)).not.toContain("@example.com");
    }
  });
});
