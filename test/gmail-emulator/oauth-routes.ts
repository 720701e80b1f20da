import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { type Answer, ok } from "./answer.ts";
import { ISSUER } from "./authorization.ts";
import { consentPage, refusalPage } from "./consent-page.ts";
import type { GmailModel } from "./model.ts";
import { JWT_BEARER, subjectOf } from "./service-accounts.ts";
import { type CallServices, type EmulatorContext, serveCall } from "./serve-call.ts";

const HTML = { "content-type": "text/html; charset=UTF-8" };
const CERTS_CACHE = { "cache-control": "public, max-age=300" };

/** Google's OAuth and OpenID Connect endpoints, all on the emulator's one host. */
export function oauthRoutes(model: GmailModel, services: CallServices) {
  const serve =
    (method: string, run: (url: URL) => Answer) =>
    async (context: EmulatorContext): Promise<Response> =>
      serveCall(context, services, anonymous(method), () => run(new URL(context.req.url)));

  return new Hono<{ Bindings: HttpBindings }>()
    .get(
      "/o/oauth2/v2/auth",
      serve("auth.page", (url) => authorizationPage(model, url.searchParams)),
    )
    .post("/o/oauth2/v2/auth", async (context) => {
      const form = await readForm(context);
      return serveCall(context, services, anonymous("auth.decision"), () =>
        decide(model, new URL(context.req.url).searchParams, form),
      );
    })
    .post("/token", async (context) => {
      const form = await readForm(context);
      addBasicCredentials(form, context.req.header("authorization"));
      return serveCall(context, services, tokenCall(model, form), () => model.token(form));
    })
    .post("/revoke", async (context) => {
      const form = await readForm(context);
      const token = form.get("token") ?? context.req.query("token") ?? null;
      const account = model.ownerOf(token ?? "");
      return serveCall(context, services, { method: "revoke", account }, () => model.revoke(token));
    })
    .get(
      "/tokeninfo",
      serve("tokeninfo", (url) => model.tokenInfo(url.searchParams.get("access_token"))),
    )
    .get(
      "/oauth2/v3/certs",
      serve("certs", () => ({ ...ok(model.jwks()), headers: CERTS_CACHE })),
    )
    .get(
      "/oauth2/v1/certs",
      serve("certs", () => ({ ...ok(model.pems()), headers: CERTS_CACHE })),
    )
    .get(
      "/.well-known/openid-configuration",
      serve("discovery", (url) => ok(openidConfiguration(url.origin))),
    )
    .get(
      "/.well-known/risc-configuration",
      serve("discovery", (url) => ok(riscConfiguration(url.origin))),
    );
}

/** Which kind of call it is, and for whom. */
function tokenCall(model: GmailModel, form: URLSearchParams) {
  switch (form.get("grant_type")) {
    case JWT_BEARER:
      return { method: "token.assertion", account: subjectOf(form.get("assertion") ?? "") };
    case "refresh_token":
      return { method: "token.refresh", account: model.ownerOf(form.get("refresh_token") ?? "") };
    default:
      return { method: "token.code", account: model.ownerOf(form.get("code") ?? "") };
  }
}

const anonymous = (method: string) => ({ method, account: undefined });

/** Malformed forms become empty ones: the endpoint then says which parameter is missing. */
async function readForm(context: EmulatorContext): Promise<URLSearchParams> {
  return new URLSearchParams(await context.req.text());
}

/** RFC 6749 section 2.3.1: a client may name itself in the header instead of the form. */
function addBasicCredentials(form: URLSearchParams, authorization: string | undefined): void {
  const encoded = /^Basic\s+(\S+)$/i.exec(authorization ?? "")?.[1];
  if (encoded === undefined) return;
  const [id = "", secret = ""] = Buffer.from(encoded, "base64").toString().split(":");
  form.set("client_id", decodeURIComponent(id));
  form.set("client_secret", decodeURIComponent(secret));
}

function authorizationPage(model: GmailModel, query: URLSearchParams): Answer {
  const checked = model.checkAuthorization(query);
  if (checked.kind === "refused") {
    return { status: checked.status, body: String(refusalPage(checked)), headers: HTML };
  }
  const url = model.silentRedirect(checked.request);
  if (url !== undefined) return { status: 302, headers: { location: url } };
  const body = String(consentPage(checked.request, model.selectableAccounts()));
  return { status: 200, body, headers: HTML };
}

function decide(model: GmailModel, query: URLSearchParams, form: URLSearchParams): Answer {
  const checked = model.checkAuthorization(query);
  if (checked.kind === "refused") {
    return { status: checked.status, body: String(refusalPage(checked)), headers: HTML };
  }
  const outcome = model.decideAuthorization(checked.request, {
    account: form.get("account") ?? "",
    allow: form.get("decision") === "allow",
    scopes: form.getAll("scope"),
  });
  if (outcome.kind === "refused") {
    return { status: outcome.status, body: String(refusalPage(outcome)), headers: HTML };
  }
  return { status: 302, headers: { location: outcome.url } };
}

function openidConfiguration(origin: string): Record<string, unknown> {
  return {
    issuer: ISSUER,
    authorization_endpoint: `${origin}/o/oauth2/v2/auth`,
    token_endpoint: `${origin}/token`,
    revocation_endpoint: `${origin}/revoke`,
    jwks_uri: `${origin}/oauth2/v3/certs`,
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    scopes_supported: ["openid", "email", "profile"],
    token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"],
    code_challenge_methods_supported: ["plain", "S256"],
    grant_types_supported: ["authorization_code", "refresh_token"],
    authorization_response_iss_parameter_supported: true,
  };
}

/** Cross-Account Protection's issuer ends with a slash, unlike that of ID tokens. */
function riscConfiguration(origin: string): Record<string, unknown> {
  return { issuer: `${ISSUER}/`, jwks_uri: `${origin}/oauth2/v3/certs` };
}
