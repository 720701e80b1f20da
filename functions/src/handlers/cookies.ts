/** The cookies of `connect`. What they hold is sealed elsewhere; here is how they are named and set. */

/** In place of what a flow had pending, once its answer has come: the back button meets it. */
export const FLOW_DONE = "done";
/** Flows that one browser can have pending; the oldest give way, so that headers stay small. */
const FLOWS_MAX = 8;

/** The one cookie of this name; two of them could only be somebody's attempt to slip one in. */
export function readCookie(headers: Headers, name: string): string | undefined {
  const found = cookiesOf(headers).filter((each) => each.name === name);
  return found.length === 1 ? found[0]?.value : undefined;
}

function cookiesOf(headers: Headers): { name: string; value: string }[] {
  return (headers.get("cookie") ?? "").split(";").map((pair) => {
    const [name = "", ...value] = pair.trim().split("=");
    return { name, value: value.join("=") };
  });
}

/**
 * A `Set-Cookie` line (RFC 6265bis §4.1): for this host alone, not for scripts, and not sent along
 * when another site makes the browser ask, except when the person comes by a link, as from Google.
 */
export function cookie(name: string, value: string, ageMs: number): string {
  const secure = name.startsWith(HOST_PREFIX) ? "; Secure" : "";
  return `${name}=${value}; Path=/; Max-Age=${Math.floor(ageMs / 1_000)}; HttpOnly; SameSite=Lax${secure}`;
}

/** RFC 6265bis §4.1.3.2: ties a cookie to this host over TLS, so that no sibling can set it. */
const HOST_PREFIX = "__Host-";

/** Loopback, where there is no TLS, does without the prefix. */
function cookieName(name: string, publicUrl: string): string {
  return publicUrl.startsWith("https:") ? `${HOST_PREFIX}${name}` : name;
}

export function sessionCookieName(publicUrl: string): string {
  return cookieName("session", publicUrl);
}

/** One for each flow, so that two of them in two tabs do not disturb each other. */
export function flowCookieName(flowId: string, publicUrl: string): string {
  return cookieName(`authorization-${flowId}`, publicUrl);
}

/** Lines that end the oldest flows of a browser which begins another. */
export function endOldestFlows(headers: Headers, publicUrl: string): string[] {
  const prefix = flowCookieName("", publicUrl);
  const names = cookiesOf(headers).flatMap(({ name }) => (name.startsWith(prefix) ? [name] : []));
  // A browser sends the oldest first (RFC 6265bis §5.8.3). A name it could not have from us is
  // not repeated to it.
  const flows = names.filter((name) => /^[\w-]+$/.test(name));
  return flows
    .slice(0, Math.max(0, flows.length - FLOWS_MAX + 1))
    .map((name) => cookie(name, "", 0));
}
