import { CommandError } from "../../errors.ts";
import { EVENTS, riscCredentials, riscStream } from "../../risc/stream.ts";
import { networkReason } from "../../http.ts";
import { type Deployment, addressesOf, deployed } from "../deployment.ts";
import type { Endpoints } from "../endpoints.ts";
import { type Problem, type Verdict, Unchecked, passed, warning } from "../verdict.ts";

const TIMEOUT_MS = 20_000;

/**
 * Checks Cross-Account Protection (RISC API v1beta): Google posts every kind of event to
 * `securityEvent`, under any URL of a domain of its own. Having no stream is allowed.
 */
export function securityEvents(endpoints: Endpoints): (it: Deployment) => Promise<Verdict> {
  return async (it) => {
    const { number } = await it.project();
    const own = addressesOf(await deployed(it, "securityEvent"), number, it.region);
    const register = "npm run risc -- register --url https://EVENTS.YOUR.DOMAIN/";
    const stream = await readStream(endpoints);
    if (stream === undefined) {
      return warning("Google sends no security events: no stream is registered", register);
    }
    const problems: Problem[] = [];
    const isOurs =
      own.some((url) => stream.url.replace(/\/$/, "") === url) ||
      (await isSecurityEvent(stream.url));
    if (!isOurs) problems.push({ what: `${stream.url} is not securityEvent`, fix: register });
    if (stream.status !== "enabled") {
      const fix = "npm run risc -- enable";
      problems.push({ what: `the stream is ${stream.status}`, fix });
    }
    const missing = EVENTS.filter((event) => !stream.events.includes(event));
    if (missing.length > 0) {
      const names = missing.map((event) => event.slice(event.lastIndexOf("/") + 1)).join(", ");
      problems.push({ what: `not asked for: ${names}`, fix: register });
    }
    return problems.length > 0 ? { kind: "failed", problems } : passed(stream.url);
  };
}

async function readStream(endpoints: Endpoints) {
  try {
    const authorize = endpoints.needsCredentials
      ? riscCredentials()
      : () => Promise.resolve("Bearer owner");
    return await riscStream(endpoints.risc, authorize).read();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const { status, message } = error;
    if (status === 404 || NOT_REGISTERED.test(message)) return undefined;
    const reason = status === undefined ? message : `answered ${status}`;
    throw new Unchecked(`the RISC API does not tell: ${reason}`, { fix: STATUS });
  }
}

/** Google's messages for a project without a registered stream, or without the API. */
const NOT_REGISTERED = /no (existing )?RISC configuration|has not been used in project|is disabled/;

/** The API answers only a service account. */
const STATUS = "npm run risc -- status";

/** Whether the URL answers like `securityEvent`, which accepts only `POST`. */
async function isSecurityEvent(url: string): Promise<boolean> {
  const response = await fetch(url, {
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((error: unknown) => {
    throw new Unchecked(`${url} does not answer here (${networkReason(error)})`);
  });
  return response.status === 405 && response.headers.get("allow") === "POST";
}
