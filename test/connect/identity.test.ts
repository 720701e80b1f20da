import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSigner } from "../gmail-emulator/signing.ts";
import { openBrowser } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { begin, changed, leadsTo } from "../support/flow.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";
const METADATA = "https://www.googleapis.com/auth/gmail.metadata";

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
  for (const email of [ADA, MALLORY]) scenario.emulator.createAccount({ email });
});
afterEach(() => scenario.close());

const codeExchanges = () => scenario.emulator.countCalls("token.code");
const users = () => scenario.users.dump().users;

describe("codes and tokens of another person", () => {
  it("O5: an attacker's code in a victim's flow fails because of the code verifier", async () => {
    const mallory = await begin(scenario, MALLORY);
    const victim = await begin(scenario, ADA);
    const code = mallory.back.searchParams.get("code") ?? "";
    const injected = changed(victim.back, (params) => params.set("code", code));
    expect((await victim.browser.get(injected)).status).toBe(400);
    expect(victim.browser.cookies.has("session")).toBe(false);
    expect(users()).toEqual([]);
  });

  it("O5: every flow has a verifier, a state and a nonce of its own; only the challenge is shown", async () => {
    const browser = openBrowser();
    const flows = [];
    for (let count = 0; count < 4; count++) flows.push(await begin(scenario, ADA, { browser }));
    for (const name of ["state", "nonce", "code_challenge"]) {
      const values = flows.map(({ asked }) => asked.searchParams.get(name));
      expect(new Set(values).size).toBe(4);
      expect(values.every((value) => /^[\w-]{43}$/.test(value ?? ""))).toBe(true);
    }
    // The verifier is kept in the flow's cookie, sealed, in place of a store at our side.
    const names = [...(flows[0]?.asked.searchParams.keys() ?? [])];
    expect(names).not.toContain("code_verifier");
    expect(
      flows.every(({ asked }) => asked.searchParams.get("code_challenge_method") === "S256"),
    ).toBe(true);
  });

  const idTokens: [
    what: string,
    make: (claims: Record<string, unknown>) => string | undefined,
    page: string,
  ][] = [
    ["absent", () => undefined, "identity_refused"],
    ["no token", () => "id", "identity_refused"],
    ["of no algorithm", (claims) => unsigned(claims), "identity_refused"],
    ["of another signer", (claims) => tampered(sign(claims)), "identity_refused"],
    ["for another client", (claims) => sign({ ...claims, aud: "x" }), "identity_refused"],
    ["of another issuer", (claims) => sign({ ...claims, iss: "https://a.b" }), "identity_refused"],
    ["of another flow", (claims) => sign({ ...claims, nonce: "x" }), "identity_refused"],
    ["of no flow", (claims) => sign({ ...claims, nonce: undefined }), "identity_refused"],
    ["of the past", (claims) => sign({ ...claims, exp: 1_000 }), "identity_refused"],
    ["without an end", (claims) => sign({ ...claims, exp: undefined }), "identity_refused"],
    ["about nobody", (claims) => sign({ ...claims, sub: undefined }), "identity_refused"],
    ["about a path", (claims) => sign({ ...claims, sub: "../users/1" }), "identity_refused"],
    ["without an address", (claims) => sign({ ...claims, email: undefined }), "identity_refused"],
    [
      "of an address that is not confirmed",
      (claims) => sign({ ...claims, email_verified: false }),
      "address_unverified",
    ],
  ];
  const sign = (claims: Record<string, unknown>) => createSigner().sign(claims);
  const unsigned = (claims: Record<string, unknown>) =>
    `${[{ alg: "none" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".")}.`;
  const tampered = (token: string) => {
    const [header, claims, signature = ""] = token.split(".");
    return [header, claims, `${signature.slice(4)}AAAA`].join(".");
  };

  /** Google's token answer, with an ID token of the test's making. */
  async function answered(make: (claims: Record<string, unknown>) => string | undefined) {
    const { browser, asked, back } = await begin(scenario, ADA);
    const now = Math.floor(scenario.clock.now().getTime() / 1_000);
    const idToken = make({
      iss: "https://accounts.google.com",
      aud: scenario.config.oauth.clientId,
      sub: scenario.emulator.account(ADA).sub,
      email: ADA,
      email_verified: true,
      nonce: asked.searchParams.get("nonce"),
      iat: now,
      exp: now + 3_600,
    });
    scenario.emulator.faults.failNext({
      method: "token.code",
      status: 200,
      body: {
        access_token: "ya29.made-by-the-test",
        refresh_token: "1//made-by-the-test",
        expires_in: 3_599,
        scope: `openid https://www.googleapis.com/auth/userinfo.email ${METADATA}`,
        token_type: "Bearer",
        ...(idToken !== undefined && { id_token: idToken }),
      },
    });
    return leadsTo(await browser.ask(back.href), scenario);
  }

  it.each(idTokens)("O13: an ID token %s is rejected", async (_, make, page) => {
    expect(await answered(make)).toBe(`/refused/${page}`);
    expect(users()).toEqual([]);
    expect(scenario.logs.join("\n")).not.toContain("made-by-the-test");
  });

  it("O13: the same response with a valid ID token is accepted as far as Gmail", async () => {
    // Gmail does not know the made-up access token: nothing before it was a reason to refuse.
    expect(await answered(sign)).toBe("/refused/try_later");
    expect(scenario.emulator.countCalls("users.watch")).toBe(1);
  });

  it.each([
    ["an error of the server", { status: 500, body: "<h1>no</h1>" }, "try_later"],
    ["a page", { status: 200, body: "<html></html>" }, "try_later"],
    ["an empty answer", { status: 200, body: {} }, "try_later"],
    ["our client refused", { status: 401, body: { error: "invalid_client" } }, "try_later"],
    ["the code refused", { status: 400, body: { error: "invalid_grant" } }, "session_lost"],
  ])("E3: %s in place of a token answer keeps nothing", async (_, answer, page) => {
    const { browser, back } = await begin(scenario, ADA);
    scenario.emulator.faults.failNext({ method: "token.code", ...answer });
    expect(leadsTo(await browser.ask(back.href), scenario)).toBe(`/refused/${page}`);
    expect(codeExchanges()).toBe(1);
    expect(users()).toEqual([]);
  });

  it("E3: asks the person to try later after a lost connection or without Google's keys", async () => {
    const cut = await begin(scenario, ADA);
    scenario.emulator.faults.dropNext({ method: "token.code" });
    expect((await cut.browser.get(cut.back.href)).status).toBe(503);
    const keyless = await begin(scenario, ADA);
    scenario.emulator.faults.failNext({ method: "certs", status: 503, count: "all" });
    expect((await keyless.browser.get(keyless.back.href)).status).toBe(503);
    expect(users()).toEqual([]);
  });
});
