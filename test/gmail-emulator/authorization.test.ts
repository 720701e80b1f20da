import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { authUrl, connect, redeem } from "./application.ts";
import { ConsentRefused } from "./consent.ts";
import { DEFAULT_CLIENT, type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";
const GRACE = "grace@corp.example";

describe("the authorization endpoint", () => {
  let emulator: GmailEmulator;

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    emulator.createAccount({ email: ADA, name: "Ada" });
    emulator.createAccount({ email: GRACE, hostedDomain: "corp.example" });
  });
  afterEach(() => emulator.close());

  const page = async (parameters: Record<string, string | undefined> = {}) =>
    (await fetch(authUrl(emulator, parameters))).text();

  it("redirects the person back with code, state, scope and issuer", async () => {
    const redirect = new URL(await emulator.consent(authUrl(emulator), { account: ADA }));
    expect(redirect.origin + redirect.pathname).toBe("http://127.0.0.1:8080/callback");
    const answer = Object.fromEntries(redirect.searchParams);
    expect(answer).toMatchObject({ state: "state-1", iss: "https://accounts.google.com" });
    expect(answer["code"]).toMatch(/^4\/0A/);
    expect(answer["scope"]?.split(" ")).toEqual(
      expect.arrayContaining(["email", "openid", GMAIL_SCOPES.metadata]),
    );
  });

  it("grants less when a scope is unticked, and the token response says so", async () => {
    const untick = [GMAIL_SCOPES.metadata];
    const url = await emulator.consent(authUrl(emulator), { account: ADA, untick });
    const { searchParams } = new URL(url);
    expect(searchParams.get("scope")).not.toContain("gmail");
    const { status, body } = await redeem(emulator, searchParams.get("code") ?? "");
    expect(status).toBe(200);
    expect(body["scope"]).toBe("openid https://www.googleapis.com/auth/userinfo.email");
  });

  it("does not let a person untick what is always granted", async () => {
    const url = authUrl(emulator);
    const consent = emulator.consent(url, { account: ADA, untick: ["openid"] });
    await expect(consent).rejects.toThrow("no box for openid");
  });

  it("redirects with access_denied and no code when the person declines", async () => {
    const url = await emulator.consent(authUrl(emulator), { account: ADA, decline: true });
    const { searchParams } = new URL(url);
    expect(searchParams.get("error")).toBe("access_denied");
    expect(searchParams.get("state")).toBe("state-1");
    expect(searchParams.has("code")).toBe(false);
  });

  it("preselects the account of the login hint", async () => {
    const checked = /data-email="([^"]+)"\s+required\s+checked/;
    const hinted = async (hint: string) => checked.exec(await page({ login_hint: hint }))?.[1];
    expect(await hinted(GRACE)).toBe(GRACE);
    expect(await hinted(emulator.account(GRACE).sub)).toBe(GRACE);
    expect(await hinted("nobody@example.com")).toBe(ADA);
  });

  it("offers only the accounts of the requested domain", async () => {
    const offered = await page({ hd: "corp.example" });
    expect(offered).toContain(GRACE);
    expect(offered).not.toContain(ADA);
  });

  it("escapes its parameters in the page", async () => {
    emulator.createAccount({ email: "eve@example.com", name: "<script>alert(1)</script>" });
    const shown = await page();
    expect(shown).not.toContain("<script>");
    expect(shown).toContain("&lt;script&gt;");
  });

  it.each([
    ["an unknown client", { client_id: "nobody" }, 401, "invalid_client"],
    ["no client", { client_id: undefined }, 400, "invalid_request"],
    [
      "a redirect URI with one slash more",
      { redirect_uri: "http://127.0.0.1:8080/callback/" },
      400,
      "redirect_uri_mismatch",
    ],
    ["no response type", { response_type: undefined }, 400, "invalid_request"],
    ["another response type", { response_type: "token" }, 400, "unsupported_response_type"],
    ["no scope", { scope: undefined }, 400, "invalid_request"],
    [
      "a scope that does not exist",
      { scope: "openid https://www.googleapis.com/auth/gmail.everything" },
      400,
      "invalid_scope",
    ],
  ])("shows an error page for %s", async (_, parameters, status, error) => {
    const consent = emulator.consent(authUrl(emulator, parameters), { account: ADA });
    await expect(consent).rejects.toThrow(new ConsentRefused(status, error));
  });

  it("checks the request again when the decision is posted", async () => {
    const url = authUrl(emulator, { redirect_uri: "https://elsewhere.example/callback" });
    const body = new URLSearchParams({ account: ADA, decision: "allow" });
    const response = await fetch(url, { method: "POST", body, redirect: "manual" });
    expect(response.status).toBe(400);
    expect(response.headers.has("location")).toBe(false);
  });

  it("refuses an account whose administrator blocks the application", async () => {
    await connect(emulator, GRACE);
    emulator.enforceAdminPolicy(GRACE);
    const url = authUrl(emulator, { login_hint: GRACE });
    const consent = emulator.consent(url, { account: GRACE });
    await expect(consent).rejects.toThrow("admin_policy_enforced");
  });

  it("shows an error page when the client was deleted", async () => {
    emulator.setClientState(DEFAULT_CLIENT.clientId, "deleted");
    const consent = emulator.consent(authUrl(emulator), { account: ADA });
    await expect(consent).rejects.toThrow("deleted_client");
  });

  it("shows no consent page to a person who already allowed the same, unless prompt=consent", async () => {
    await connect(emulator, ADA);
    const open = (parameters: Record<string, string>) =>
      fetch(authUrl(emulator, { login_hint: ADA, ...parameters }), { redirect: "manual" });
    expect((await open({})).status).toBe(302);
    expect((await open({ prompt: "consent" })).status).toBe(200);
    expect((await open({ prompt: "select_account" })).status).toBe(200);
    expect((await open({ scope: `openid ${GMAIL_SCOPES.readonly}` })).status).toBe(200);
  });

  it("never shows a page with prompt=none", async () => {
    const url = authUrl(emulator, { prompt: "none", login_hint: ADA });
    const response = await fetch(url, { redirect: "manual" });
    expect(response.headers.get("location")).toContain("error=interaction_required");
  });
});
