import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { begin, leadsTo } from "../support/flow.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";
const METADATA = "https://www.googleapis.com/auth/gmail.metadata";
const LABELS = "https://www.googleapis.com/auth/gmail.labels";

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
  for (const email of [ADA, MALLORY]) scenario.emulator.createAccount({ email });
});
afterEach(() => scenario.close());

const users = () => scenario.users.dump().users;
const refreshTokens = (email: string) => scenario.emulator.account(email).refreshTokens.length;

describe("what is requested from Google, and revoked", () => {
  it("O12: does not collect scopes that the person granted to the project before", async () => {
    const modify = "https://www.googleapis.com/auth/gmail.modify";
    const { asked } = await begin(scenario, ADA);
    asked.searchParams.set("scope", `openid email ${modify}`);
    await scenario.emulator.consent(asked.href, { account: ADA });
    await scenario.connect(ADA, { exists: true });
    expect(scenario.stored(ADA).grant.scopes).toContain(METADATA);
    expect(scenario.stored(ADA).grant.scopes).not.toContain(modify);
  });

  it("O12: accepts a grant of more than was requested", async () => {
    const { browser, back } = await begin(scenario, ADA, {
      alter: ({ searchParams }) =>
        searchParams.set("scope", `${searchParams.get("scope")} ${LABELS}`),
    });
    expect((await browser.get(back.href)).status).toBe(200);
    expect(scenario.stored(ADA).grant.scopes).toContain(LABELS);
  });

  it("O11: an unticked box connects no one, revokes the grant at Google, and says what to do", async () => {
    const { browser, back } = await begin(scenario, ADA, { untick: [METADATA] });
    const response = await browser.ask(back.href);
    expect(leadsTo(response, scenario)).toBe("/refused/scopes_missing");
    const page = await browser.get(response.headers.get("location") ?? "");
    expect(page.status).toBe(400);
    expect(await page.text()).toContain("One permission is missing");
    expect(users()).toEqual([]);
    expect(refreshTokens(ADA)).toBe(0);
  });

  it("O11: an account with an unverified address is not connected, and its grant is revoked", async () => {
    const email = "unconfirmed@example.com";
    scenario.emulator.createAccount({ email, emailVerified: false });
    const { browser, back } = await begin(scenario, email);
    expect(leadsTo(await browser.ask(back.href), scenario)).toBe("/refused/address_unverified");
    expect(users()).toEqual([]);
    expect(refreshTokens(email)).toBe(0);
  });

  describe("ALLOWED_DOMAINS", () => {
    const WORKER = "worker@corp.example";
    beforeEach(async () => {
      await scenario.close();
      scenario = await startScenario({ env: { ALLOWED_DOMAINS: "corp.example" } });
      scenario.emulator.createAccount({ email: WORKER, hostedDomain: "corp.example" });
    });

    it("connects an account of the domain, and names the domain to Google", async () => {
      const { browser, asked, back } = await begin(scenario, WORKER);
      expect(asked.searchParams.get("hd")).toBe("corp.example");
      expect((await browser.get(back.href)).status).toBe(200);
      expect(scenario.stored(WORKER).status).toBe("active");
    });

    it.each([
      ["a consumer account", { email: "ada@gmail.example" }],
      ["a consumer account with an address of the domain", { email: "eve@corp.example" }],
      [
        "an account of another organization",
        { email: "bob@other.example", hostedDomain: "other.example" },
      ],
      [
        "an account of a subdomain",
        { email: "sub@dev.corp.example", hostedDomain: "dev.corp.example" },
      ],
      [
        "an account of a domain that ends alike",
        { email: "mal@evilcorp.example", hostedDomain: "evilcorp.example" },
      ],
    ])("refuses %s, keeps nothing, and gives the grant back", async (_, account) => {
      scenario.emulator.createAccount(account);
      // Anyone who sends the browser to Google chooses the hint.
      const alter = ({ searchParams }: URL) => searchParams.delete("hd");
      const { browser, back } = await begin(scenario, account.email, { alter });
      expect(leadsTo(await browser.ask(back.href), scenario)).toBe("/refused/domain_refused");
      const page = await browser.get(`${scenario.publicUrl}/refused/domain_refused`);
      expect(page.status).toBe(403);
      expect(await page.text()).toContain("Nothing has been connected");
      expect(browser.cookies.has("session")).toBe(false);
      expect(users()).toEqual([]);
      expect(refreshTokens(account.email)).toBe(0);
    });

    it("sends no hint when there are several domains, and accepts each of them", async () => {
      await scenario.close();
      const env = { ALLOWED_DOMAINS: "corp.example, other.example" };
      scenario = await startScenario({ env });
      const account = { email: "bob@other.example", hostedDomain: "other.example" };
      scenario.emulator.createAccount(account);
      const { browser, asked, back } = await begin(scenario, account.email);
      expect(asked.searchParams.has("hd")).toBe(false);
      expect((await browser.get(back.href)).status).toBe(200);
    });
  });

  it("O11: alerts the operator about a refused grant that cannot be revoked", async () => {
    scenario.emulator.faults.failNext({ method: "revoke", status: 503, count: "all" });
    const { browser, back } = await begin(scenario, ADA, { untick: [METADATA] });
    expect((await browser.get(back.href)).status).toBe(400);
    expect(scenario.logged("grant_not_revoked")).toMatchObject([
      { severity: "ERROR", userId: scenario.emulator.account(ADA).sub },
    ]);
  });

  it("O11: does not revoke a refused grant of more than was requested", async () => {
    const { browser, back } = await begin(scenario, ADA, {
      alter: ({ searchParams }) =>
        searchParams.set("scope", `${searchParams.get("scope")} ${LABELS}`),
      untick: [METADATA],
    });
    expect((await browser.get(back.href)).status).toBe(400);
    expect(users()).toEqual([]);
    expect(scenario.emulator.countCalls("revoke")).toBe(0);
  });

  it("O11: an unticked box does not end what the person allowed another client of the project", async () => {
    await scenario.close();
    const clients = [
      { ...DEFAULT_CLIENT, redirectUris: ["https://push.example/callback"] },
      { ...DEFAULT_CLIENT, clientId: "sister.apps.example", redirectUris: ["https://a.example/"] },
    ];
    scenario = await startScenario({
      env: { PUBLIC_URL: "https://push.example", RISC_CLIENT_IDS: "sister.apps.example" },
      emulator: { clients },
    });
    const { emulator, urls } = scenario;
    emulator.createAccount({ email: ADA });
    // A sister application of the same project may change Ada's labels, for good.
    const sister = new URL(`http://${emulator.host}/o/oauth2/v2/auth`);
    sister.search = new URLSearchParams({
      client_id: "sister.apps.example",
      redirect_uri: "https://a.example/",
      response_type: "code",
      scope: `openid ${LABELS}`,
      access_type: "offline",
    }).toString();
    const code = new URL(await emulator.consent(sister.href, { account: ADA })).searchParams;
    const redeemed = await fetch(`http://${emulator.host}/token`, {
      method: "POST",
      body: new URLSearchParams({
        client_id: "sister.apps.example",
        client_secret: DEFAULT_CLIENT.clientSecret,
        redirect_uri: "https://a.example/",
        grant_type: "authorization_code",
        code: code.get("code") ?? "",
      }),
    });
    expect(redeemed.status).toBe(200);
    expect(refreshTokens(ADA)).toBe(1);

    const start = await fetch(`${urls.connect}/start`, { redirect: "manual" });
    const back = await emulator.consent(start.headers.get("location") ?? "", {
      account: ADA,
      untick: [METADATA],
    });
    const cookie = start.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const answer = await fetch(back.replace("https://push.example", urls.connect), {
      headers: { cookie },
      redirect: "manual",
    });
    expect(answer.headers.get("location")).toBe("https://push.example/refused/scopes_missing");
    expect(emulator.countCalls("revoke")).toBe(0);
    expect(refreshTokens(ADA)).toBeGreaterThan(0);
  });
});
