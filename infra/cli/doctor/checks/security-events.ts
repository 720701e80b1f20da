import { EVENTS } from "../../risc/command.ts";
import { RiscFailure, riscStream, serviceAccountAuthorization } from "../../risc/stream.ts";
import { networkReason } from "../cloud.ts";
import { type Deployment, addressesOf, deployed } from "../deployment.ts";
import type { Places } from "../endpoints.ts";
import { type Problem, type Result, Unchecked, ok, warning } from "../result.ts";

const TIMEOUT_MS = 20_000;

/**
 * Cross-Account Protection (RISC API v1beta): Google posts to `securityEvent`, whatever name it has
 * on a domain of ours, and everything that it can tell of. Not to have it is allowed.
 */
export function securityEvents(places: Places): (it: Deployment) => Promise<Result> {
  return async (it) => {
    const { number } = await it.project();
    const own = addressesOf(await deployed(it, "securityEvent"), number, it.region);
    const register =
      "npm run risc -- --key-file KEY.json register --url https://EVENTS.YOUR.DOMAIN/";
    const stream = await readStream(places);
    if (stream === undefined) {
      return warning("Google tells of no security events: no stream is registered", register);
    }
    const problems: Problem[] = [];
    const isOurs =
      own.some((url) => stream.url.replace(/\/$/, "") === url) ||
      (await isSecurityEvent(stream.url));
    if (!isOurs) problems.push({ what: `${stream.url} is not securityEvent`, fix: register });
    if (stream.status !== "enabled") {
      const fix = "npm run risc -- --key-file KEY.json enable";
      problems.push({ what: `the stream is ${stream.status}`, fix });
    }
    const missing = EVENTS.filter((event) => !stream.events.includes(event));
    if (missing.length > 0) {
      const names = missing.map((event) => event.slice(event.lastIndexOf("/") + 1)).join(", ");
      problems.push({ what: `not asked for: ${names}`, fix: register });
    }
    return problems.length > 0 ? { kind: "failed", problems } : ok(stream.url);
  };
}

async function readStream(places: Places) {
  try {
    const authorize = places.needsCredentials
      ? await serviceAccountAuthorization(undefined)
      : () => Promise.resolve("Bearer owner");
    return await riscStream(places.risc, authorize).read();
  } catch (error) {
    if (!(error instanceof RiscFailure)) {
      throw new Unchecked("the RISC API wants a service account", STATUS);
    }
    if (error.status === 404 || /no (existing )?RISC configuration/.test(error.message))
      return undefined;
    if (/has not been used in project|is disabled/.test(error.message)) return undefined;
    const reason = error.status === 0 ? error.message : `answered ${error.status}`;
    throw new Unchecked(`the RISC API does not tell: ${reason}`, STATUS);
  }
}

/** Google answers a service account alone. */
const STATUS = "npm run risc -- --key-file KEY.json status";

/** What it answers to everybody: that it takes a `POST` and nothing else. */
async function isSecurityEvent(url: string): Promise<boolean> {
  const response = await fetch(url, {
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((error: unknown) => {
    throw new Unchecked(`${url} does not answer here (${networkReason(error)})`);
  });
  return response.status === 405 && response.headers.get("allow") === "POST";
}
