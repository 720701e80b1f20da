import assert from "node:assert/strict";

/** The cookies of `connect`. What they hold is sealed elsewhere; here is how they are named and set. */

/** In place of what a flow had pending, once its answer has come: the back button meets it. */
export const FLOW_DONE = "done";
/** Flows that one browser can have pending; the oldest give way, so that headers stay small. */
const FLOWS_MAX = 8;
/** What these flows may take up together: Node refuses requests with 16 KiB of headers (431). */
const FLOWS_BYTES_MAX = 8 * 1024;
/** RFC 6265 §6.1: what browsers keep of a cookie, its name and attributes included. */
const COOKIE_BYTES_MAX = 4_096;

/** The one cookie of this name; two of them could only be somebody's attempt to slip one in. */
export function readCookie(headers: Headers, name: string): string | undefined {
  const found = cookiesOf(headers).filter((each) => each.name === name);
  return found.length === 1 ? found[0]?.value : undefined;
}

/**
 * Only spaces and tabs are taken off (RFC 9110 §5.6.3). `trim()` also removes other white space, with
 * which a sibling could begin the name of a cookie that browsers do not let it set.
 */
function cookiesOf(headers: Headers): { name: string; value: string }[] {
  return (headers.get("cookie") ?? "").split(";").map((pair) => {
    const [name = "", ...value] = withoutSpaces(pair).split("=");
    return { name, value: value.join("=") };
  });
}

/** A regular expression for the spaces at an end looks at spaces in the middle again and again. */
function withoutSpaces(text: string): string {
  const isSpace = (at: number) => text[at] === " " || text[at] === "\t";
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(start)) start++;
  while (end > start && isSpace(end - 1)) end--;
  return text.slice(start, end);
}

/**
 * A `Set-Cookie` line (RFC 6265bis §4.1): for this host alone, not for scripts, and not sent along
 * when another site makes the browser ask, except when the person comes by a link, as from Google.
 */
export function cookie(name: string, value: string, ageMs: number): string {
  const secure = name.startsWith(HOST_PREFIX) ? "; Secure" : "";
  const line = `${name}=${value}; Path=/; Max-Age=${Math.floor(ageMs / 1_000)}; HttpOnly; SameSite=Lax${secure}`;
  // Browsers drop a longer one without a word. What goes in is bounded where it comes in.
  assert(line.length <= COOKIE_BYTES_MAX, "a cookie is longer than browsers keep");
  return line;
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

/** Lines that end the oldest flows of a browser which begins another with these `Set-Cookie` lines. */
export function endOldestFlows(
  headers: Headers,
  publicUrl: string,
  begun: readonly string[],
): string[] {
  const prefix = flowCookieName("", publicUrl);
  // A browser sends the oldest first (RFC 6265bis §5.8.3). A name it could not have from us is
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
