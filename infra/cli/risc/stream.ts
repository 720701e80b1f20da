import { CommandError } from "../errors.ts";
import { networkReason, parseJson } from "../http.ts";
import { googleCredentials } from "../credentials.ts";

/** The stream of security events that Google has for a project (RISC API v1beta). */
export interface RiscStream {
  /** `stream:update`: Google posts these events to this URL from now on. */
  register(url: string, events: readonly string[]): Promise<void>;
  /** `stream` and `stream/status`. */
  read(): Promise<{ status: string; url: string; events: string[] }>;
  /** `stream:verify`: Google posts an event with this text to the registered URL. */
  verify(state: string): Promise<void>;
  /** `stream/status:update`. Events that occur while it is disabled are never sent. */
  setStatus(status: "enabled" | "disabled"): Promise<void>;
}

const SCHEMA = "https://schemas.openid.net/secevent/";
/** Every event that Google offers; the receiver logs those that have no effect. */
export const EVENTS = [
  "oauth/event-type/tokens-revoked",
  "oauth/event-type/token-revoked",
  "risc/event-type/sessions-revoked",
  "risc/event-type/account-disabled",
  "risc/event-type/account-enabled",
  "risc/event-type/account-credential-change-required",
  "risc/event-type/verification",
].map((type) => `${SCHEMA}${type}`);

/** The audience of tokens that a service account signs itself; the API accepts one for an hour. */
const AUDIENCE = "https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService";
const DELIVERY_METHOD = "https://schemas.openid.net/secevent/risc/delivery-method/push";
const SCOPES = ["risc.configuration.readwrite", "risc.status.readwrite", "risc.verify"].map(
  (scope) => `https://www.googleapis.com/auth/${scope}`,
);
const CALL_TIMEOUT_MS = 15_000;

/**
 * Returns the stream at this origin, Google's or an emulator's; `authorize` makes the header of one
 * call. Every method throws {@link CommandError} with Google's message and, if there is one, the
 * fix.
 */
export function riscStream(origin: string, authorize: () => Promise<string>): RiscStream {
  async function call(path: string, body?: unknown): Promise<Record<string, unknown>> {
    const authorization = await authorize();
    const response = await fetch(`${origin}/v1beta/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new CommandError(`${origin} does not answer (${networkReason(error)})`);
    });
    const answer = (parseJson(await response.text()) ?? {}) as Record<string, unknown>;
    if (response.ok) return answer;
    const { status } = response;
    const { message } = (answer["error"] ?? {}) as { message?: unknown };
    const reason = typeof message === "string" ? message : "no reason given";
    const fix = ADVICE.find(([pattern]) => pattern.test(reason))?.[1];
    throw new CommandError(`${reason} (${status})`, { status, fix });
  }

  return {
    async register(url, events) {
      const delivery = { delivery_method: DELIVERY_METHOD, url };
      await call("stream:update", { delivery, events_requested: events });
    },
    async read() {
      const { delivery, events_requested: events } = await call("stream");
      const { status } = await call("stream/status");
      const { url } = (delivery ?? {}) as { url?: unknown };
      return {
        status: String(status),
        url: String(url),
        events: Array.isArray(events) ? events.map(String) : [],
      };
    },
    async verify(state) {
      await call("stream:verify", { state });
    },
    async setStatus(status) {
      await call("stream/status:update", { status });
    },
  };
}

/**
 * Returns a function that makes the `authorization` header: for the service account of a key file,
 * or for the application default credentials. A service account with a key signs the token itself,
 * as Google's guide does; other credentials bring an access token with the scopes of RISC.
 */
export function riscCredentials(keyFile?: string): () => Promise<string> {
  return googleCredentials({ scopes: SCOPES, keyFile, audience: AUDIENCE, fix: CREDENTIALS_FIX });
}

// Organizations that were created since May 2024 allow no keys.
const CREDENTIALS_FIX =
  "gcloud auth application-default login --impersonate-service-account=EMAIL (a service account " +
  "with roles/riscconfigs.admin), or --key-file with its key";

/** Fixes for Google's errors, by their messages (the guide's error code reference). */
const ADVICE: readonly [message: RegExp, advice: string][] = [
  [
    /does not belong to any of your project's domains/,
    "The host of --url has to be on one of the project's authorized domains: in the Cloud console, " +
      "Google Auth Platform, Branding, Authorized domains. run.app and cloudfunctions.net cannot " +
      "be added there: map a domain of your own to securityEvent.",
  ],
  [
    /does not have spec-compliant delivery method/,
    "Firebase Authentication with Google sign-in owns this project's stream. Disable that provider " +
      "(Firebase console, Authentication, Sign-in method) and try again after an hour, or keep the " +
      "OAuth client in a project without it.",
  ],
  [
    /permission to access your RISC configuration/,
    "Grant it: gcloud projects add-iam-policy-binding PROJECT " +
      "--member serviceAccount:EMAIL --role roles/riscconfigs.admin",
  ],
  [
    /only be called by a service account/,
    "Use one: gcloud auth application-default login --impersonate-service-account EMAIL, " +
      "or --key-file.",
  ],
  [
    /has not been used in project|is disabled/,
    "Enable it, after its terms: https://console.cloud.google.com/apis/library/risc.googleapis.com",
  ],
  [/has no (existing )?RISC configuration/, "Register first: npm run risc -- register --url URL"],
];
