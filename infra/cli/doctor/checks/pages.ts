import { type Result, err, ok } from "../../../../functions/src/domain/result.ts";
import { isLoopback } from "../../../../functions/src/config/formats.ts";
import { HEADERS } from "../../../../functions/src/platform/http.ts";
import { networkReason } from "../../http.ts";
import { type Deployment, deployed, lastPart } from "../deployment.ts";
import type { Endpoints } from "../endpoints.ts";
import {
  type Problem,
  type Verdict,
  Unchecked,
  failed,
  passed,
  unlessAny,
  warning,
} from "../verdict.ts";

const TIMEOUT_MS = 20_000;
/** All functions of a project in a region are paths of this host. */
const SHARED_HOST = /\.cloudfunctions\.net$/;
/** Pages extend this header, and a proxy may extend what may be cached. */
const OWN_ON_PAGES = new Set(["content-security-policy"]);
/** Error codes of an untrusted certificate. */
const UNTRUSTED = /^(ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;
/** Google's error page, whose URL contains the error in base64. */
const OAUTH_ERROR =
  /redirect_uri_mismatch|invalid_client|deleted_client|disabled_client|unauthorized_client|invalid_request|org_internal|invalid_scope/;

/**
 * Checks that `PUBLIC_URL/` is the receiver's page, with its headers, at an origin that serves
 * nothing else.
 */
export function publicUrl(endpoints: Endpoints): (it: Deployment) => Promise<Verdict> {
  return async (it) => {
    const { publicUrl: url } = await it.config();
    const redeploy = await it.redeploy();
    if (it.kind === "cloud" && SHARED_HOST.test(new URL(url).hostname)) {
      return failed(
        `PUBLIC_URL shares its origin with every function of the project, which can act in its place: ${url}`,
        await moveTo(it, redeploy),
      );
    }
    if (endpoints.needsCredentials && it.kind === "cloud" && isLoopback(new URL(url).hostname)) {
      return failed(`PUBLIC_URL is this machine: ${url}`, `set it, then: ${redeploy}`);
    }
    const read = await fetched(`${url}/`);
    if (!read.ok) {
      const reason = read.error;
      if (UNTRUSTED.test(reason))
        return failed(`${url}: ${reason}`, "fix the certificate of PUBLIC_URL");
      throw new Unchecked(`${url} does not answer here (${reason})`);
    }
    const response = read.value;
    const page = await response.text();
    if (response.status !== 200 || !page.includes(`href="${url}/start"`)) {
      return failed(
        `${url}/ is not our page (${response.status})`,
        `lead PUBLIC_URL to the function connect, or set it, then: ${redeploy}`,
      );
    }
    const problems: Problem[] = Object.entries(HEADERS)
      .filter(([name]) => !OWN_ON_PAGES.has(name))
      .filter(([name, value]) => response.headers.get(name) !== value)
      .map(([name]) => ({
        what: `${url}/ comes without our header ${name}`,
        fix: "let the proxy in front of the function pass it on",
      }));
    if (!response.headers.get("content-security-policy")?.includes("default-src 'none'")) {
      const fix = "let the proxy in front of the function pass it on";
      problems.push({ what: `${url}/ comes without our content-security-policy`, fix });
    }
    if (await losesCookies(url)) {
      problems.push({
        what: `a cookie that ${url}/start sets does not come back to ${url}/callback: no one can connect`,
        fix: "let the proxy in front of the function pass all cookies; Firebase Hosting cannot",
      });
    }
    if (problems.length === 0 && it.kind === "cloud" && hasPath(url)) {
      return warning(
        `everything else that ${new URL(url).host} serves can act as PUBLIC_URL: ${url}`,
        await moveTo(it, redeploy),
      );
    }
    return unlessAny(problems, `${url}/ is our page`);
  };
}

/**
 * Starts an authorization and returns at once, like a person who declines: the response tells
 * whether the flow's cookie arrived. It never calls Google, and stores nothing.
 */
async function losesCookies(url: string): Promise<boolean> {
  const start = await fetched(`${url}/start`);
  // Where a start needs more than that, or is limited for now, the check cannot tell.
  if (!start.ok || start.value.status !== 303) return false;
  const { headers } = start.value;
  const location = headers.get("location") ?? "";
  const state = URL.canParse(location) ? new URL(location).searchParams.get("state") : null;
  if (state === null) return false;
  const cookie = headers.getSetCookie().map((line) => line.split(";")[0] ?? "");
  const query = new URLSearchParams({ state, error: "access_denied" });
  const back = await fetched(`${url}/callback?${query}`, { cookie: cookie.join("; ") });
  if (!back.ok) return false;
  return back.value.headers.get("location")?.includes("/refused/session_lost") === true;
}

function hasPath(url: string): boolean {
  const { hostname, pathname } = new URL(url);
  return pathname !== "/" && !isLoopback(hostname);
}

/** In this order, because Google rejects an unknown redirect URI. */
async function moveTo(it: Deployment, redeploy: string): Promise<string> {
  const { serviceConfig } = await deployed(it, "connect");
  const { number } = await it.project();
  const own = `https://${lastPart(serviceConfig.service)}-${number}.${it.region}.run.app`;
  return (
    `1. add ${own}/callback, or that of a domain of its own, to the redirect URIs of the OAuth ` +
    `client at https://console.cloud.google.com/auth/clients?project=${it.projectId} ` +
    `2. set PUBLIC_URL=${own} 3. ${redeploy}`
  );
}

/**
 * Checks that the redirect URI is registered. Calls Google's authorization endpoint like a browser
 * that is not signed in: it rejects an unregistered redirect URI before it asks for an account. The
 * page that it shows has no contract, so everything else than the rejection or the question for the
 * account counts as unchecked.
 */
export function redirectUri(endpoints: Endpoints): (it: Deployment) => Promise<Verdict> {
  return async (it) => {
    const { oauth, publicUrl: url, gmail } = await it.config();
    const registered = `${url}/callback`;
    const address = new URL(endpoints.google.authorize);
    address.search = new URLSearchParams({
      client_id: oauth.clientId,
      redirect_uri: registered,
      response_type: "code",
      scope: ["openid", "email", ...gmail.scopes].join(" "),
      access_type: "offline",
    }).toString();
    const read = await fetched(address.href);
    if (!read.ok) throw new Unchecked(`${address.host} does not answer (${read.error})`);
    const response = read.value;
    const location = response.headers.get("location") ?? "";
    const page = await response.text();
    const error = OAUTH_ERROR.exec(page)?.[0] ?? errorIn(location);
    if (error === "redirect_uri_mismatch") {
      return failed(
        `${registered} is no redirect URI of the OAuth client`,
        `add it to the client at https://console.cloud.google.com/auth/clients?project=${it.projectId}`,
      );
    }
    if (error !== undefined) throw new Unchecked(`Google answers ${error} (see oauth-client)`);
    const isAsking = response.status === 200 ? page.includes("<form") : SIGN_IN.test(location);
    if (isAsking) return passed(`${registered} is registered`);
    throw new Unchecked(
      `Google's answer is not understood (${response.status}): open ${url}/start`,
    );
  };
}

/** Where Google redirects a browser for the sign-in. */
const SIGN_IN =
  /^https:\/\/accounts\.google\.com\/(v3\/signin\/identifier|ServiceLogin|InteractiveLogin|signin\/(v2\/)?(identifier|oauth\/id))/;

function errorIn(location: string): string | undefined {
  const hidden = URL.canParse(location) ? new URL(location).searchParams.get("authError") : null;
  return OAUTH_ERROR.exec(Buffer.from(hidden ?? "", "base64").toString("latin1"))?.[0];
}

/** Returns the response, or why there is none. */
function fetched(
  url: string,
  headers: Record<string, string> = {},
): Promise<Result<Response, string>> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return fetch(url, { headers, redirect: "manual", signal }).then(ok, (error: unknown) =>
    err(networkReason(error)),
  );
}
