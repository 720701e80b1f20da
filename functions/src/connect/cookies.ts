import assert from "node:assert/strict";

/** The cookies of `connect`. What they hold is sealed elsewhere; here is how they are named and set. */

/** Replaces the pending content of a flow once it is complete, for the back button. */
export const FLOW_DONE = "done";
/**
 * The maximum number of pending flows of one browser; the oldest are dropped, so that headers stay
 * small.
 */
const FLOWS_MAX = 8;
/** The maximum size of all flows: Node rejects requests with 16 KiB of headers (431). */
const FLOWS_BYTES_MAX = 8 * 1024;
/** RFC 6265 §6.1: the maximum size of a cookie, with its name and attributes. */
const COOKIE_BYTES_MAX = 4_096;

/** Returns the one cookie of this name; `undefined` if there are two, because one was injected. */
export function readCookie(headers: Headers, name: string): string | undefined {
  const found = cookiesOf(headers).filter((each) => each.name === name);
  return found.length === 1 ? found[0]?.value : undefined;
}

/**
 * Parses the cookies. Only spaces and tabs are removed (RFC 9110 §5.6.3): `trim()` also removes
 * other white space, with which a sibling host could start the name of a cookie that browsers do
 * not let it set.
 */
function cookiesOf(headers: Headers): { name: string; value: string }[] {
  return (headers.get("cookie") ?? "").split(";").map((pair) => {
    const [name = "", ...value] = withoutSpaces(pair).split("=");
    return { name, value: value.join("=") };
  });
}

/** A regular expression for trailing spaces would scan inner spaces repeatedly. */
function withoutSpaces(text: string): string {
  const isSpace = (at: number) => text[at] === " " || text[at] === "\t";
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(start)) start++;
  while (end > start && isSpace(end - 1)) end--;
  return text.slice(start, end);
}

/**
 * Returns a `Set-Cookie` line (RFC 6265bis §4.1): for this host only, not for scripts, and not sent
 * with requests from another site, except when the person follows a link, as from Google.
 */
export function cookie(name: string, value: string, ageMs: number): string {
  const secure = name.startsWith(HOST_PREFIX) ? "; Secure" : "";
  const line = `${name}=${value}; Path=/; Max-Age=${Math.floor(ageMs / 1_000)}; HttpOnly; SameSite=Lax${secure}`;
  // Browsers silently drop a longer one. The content is bounded where it enters.
  assert(line.length <= COOKIE_BYTES_MAX, "a cookie is longer than browsers keep");
  return line;
}

/**
 * RFC 6265bis §4.1.3.2: ties a cookie to this host over TLS, so that no sibling host can set it.
 */
const HOST_PREFIX = "__Host-";

/** Loopback has no TLS, so it uses no prefix. */
function cookieName(name: string, publicUrl: string): string {
  return publicUrl.startsWith("https:") ? `${HOST_PREFIX}${name}` : name;
}

/** Returns the name of the session cookie. */
export function sessionCookieName(publicUrl: string): string {
  return cookieName("session", publicUrl);
}

/** Returns the name of one flow's cookie, so that two flows in two tabs do not interfere. */
export function flowCookieName(flowId: string, publicUrl: string): string {
  return cookieName(`authorization-${flowId}`, publicUrl);
}

/**
 * Returns lines that end the oldest flows of a browser that begins another with these `Set-Cookie`
 * lines.
 */
export function endOldestFlows(
  headers: Headers,
  publicUrl: string,
  begun: readonly string[],
): string[] {
  const prefix = flowCookieName("", publicUrl);
  // A browser sends the oldest first (RFC 6265bis §5.8.3). A name that the receiver never sets is
  // not repeated to it.
  const flows = cookiesOf(headers).filter(
    ({ name }) => name.startsWith(prefix) && /^[\w-]+$/.test(name),
  );
  const bytesOf = (texts: readonly string[]) =>
    texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  let bytes = bytesOf(begun) + bytesOf(flows.flatMap(({ name, value }) => [name, value]));
  let left = flows.length + begun.length;
  const ended: string[] = [];
  for (const { name, value } of flows) {
    if (left <= FLOWS_MAX && bytes <= FLOWS_BYTES_MAX) break;
    ended.push(cookie(name, "", 0));
    left -= 1;
    bytes -= bytesOf([name, value]);
  }
  return ended;
}
