import { GoogleAuth, JWT, JWTAccess } from "google-auth-library";

/** The stream of security events that Google keeps for a project (RISC API v1beta). */
export interface RiscStream {
  /** `stream:update`: from now on these events are posted to this address. */
  register(url: string, events: readonly string[]): Promise<void>;
  /** `stream` and `stream/status`. */
  read(): Promise<{ status: string; url: string; events: string[] }>;
  /** `stream:verify`: Google posts an event with this text to the registered address. */
  verify(state: string): Promise<void>;
  /** `stream/status:update`. What happens while it is disabled is never sent. */
  setStatus(status: "enabled" | "disabled"): Promise<void>;
}

/** Google's answer to a call that it refused, or why there was none. */
export class RiscFailure extends Error {
  override name = "RiscFailure";
  /** 0 when Google did not answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What to sign for, when we sign for ourselves: the API takes such a token for an hour. */
const AUDIENCE = "https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService";
const DELIVERY_METHOD = "https://schemas.openid.net/secevent/risc/delivery-method/push";
const SCOPES = ["risc.configuration.readwrite", "risc.status.readwrite", "risc.verify"].map(
  (scope) => `https://www.googleapis.com/auth/${scope}`,
);
const CALL_TIMEOUT_MS = 15_000;

/** `origin` is Google's or an emulator's; `authorize` makes the header of one call. */
export function riscStream(origin: string, authorize: () => Promise<string>): RiscStream {
  async function call(path: string, body?: unknown): Promise<Record<string, unknown>> {
    const authorization = await authorize();
    const response = await fetch(`${origin}/v1beta/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new RiscFailure(0, `${origin} does not answer (${nameOf(error)})`);
    });
    const answer = readJson(await response.text());
    if (response.ok) return answer;
    const { message } = (answer["error"] ?? {}) as { message?: unknown };
    throw new RiscFailure(
      response.status,
      typeof message === "string" ? message : "no reason given",
    );
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
 * The service account of a key file, or the application default credentials. With a key we sign the
 * token ourselves, as Google's guide does; other credentials bring an access token with RISC scopes.
 */
export async function serviceAccountAuthorization(
  keyFile: string | undefined,
): Promise<() => Promise<string>> {
  const auth = new GoogleAuth({
    scopes: SCOPES,
    ...(keyFile !== undefined && { keyFilename: keyFile }),
  });
  const client = await auth.getClient();
  // A file that is no JSON is taken for a bare key, which says nothing about whose it is.
  if (client instanceof JWT && !client.email) throw new Error("not the key of a service account");
  const headersOf = () => {
    if (!(client instanceof JWT)) return client.getRequestHeaders();
    return new JWTAccess(client.email, client.key, client.keyId).getRequestHeaders(AUDIENCE);
  };
  return async () => {
    try {
      return (await headersOf()).get("authorization") ?? "";
    } catch {
      // The library's own errors carry tokens.
      throw new RiscFailure(0, "the credentials bring no access token for the RISC API");
    }
  };
}

function nameOf(error: unknown): string {
  const { cause, name } = error as { cause?: { code?: unknown }; name?: unknown };
  return String(cause?.code ?? name);
}

function readJson(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
