import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { importSPKI, jwtVerify } from "jose";
import { z } from "zod";
import { type Answer, ok } from "./answer.ts";
import type { GmailModel } from "./model.ts";
import type { RiscConsole } from "./risc-console.ts";
import { type CallServices, type EmulatorContext, serveCall } from "./serve-call.ts";

const AUDIENCE = "https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService";
const DELIVERY_METHOD = "https://schemas.openid.net/secevent/risc/delivery-method/push";
const VERIFICATION = "https://schemas.openid.net/secevent/risc/event-type/verification";
const TOKEN_SECONDS_MAX = 3_600;
const DELIVERY_TIMEOUT_MS = 10_000;

const STREAM = z.object({
  delivery: z.object({ delivery_method: z.literal(DELIVERY_METHOD), url: z.url() }),
  events_requested: z.array(z.string()),
});
const STATUS = z.object({ status: z.enum(["enabled", "disabled"]) });
const STATE = z.object({ state: z.string() });

/**
 * The RISC API (`/v1beta/stream...`) for the emulator's one project. A verification event has been
 * posted before the call that asked for it is answered, where Google takes its time.
 */
export function riscService(model: GmailModel, audience: string, services: CallServices) {
  let domains: readonly string[] = ["127.0.0.1", "localhost"];
  let owner: "developer" | "firebase" = "developer";
  let stream: z.infer<typeof STREAM> | undefined;
  let status: z.infer<typeof STATUS>["status"] = "enabled";

  const console: RiscConsole = {
    setAuthorizedDomains(given) {
      domains = given;
    },
    setStreamOwner(given) {
      owner = given;
    },
  };

  /** A token that the account has signed for itself, for this API and for an hour at most. */
  async function isAuthorized(context: EmulatorContext): Promise<boolean> {
    const token = context.req.header("authorization")?.replace(/^Bearer /, "") ?? "";
    for (const { email, publicKey } of model.serviceAccounts()) {
      const key = await importSPKI(publicKey, "RS256");
      const options = { issuer: email, subject: email, audience: AUDIENCE };
      const verified = await jwtVerify(token, key, options).catch(() => undefined);
      if (verified === undefined) continue;
      const { exp = 0, iat = 0 } = verified.payload;
      return exp - iat <= TOKEN_SECONDS_MAX;
    }
    return false;
  }

  const serve =
    (method: string, run: (body: unknown) => Answer | Promise<Answer>) =>
    async (context: EmulatorContext): Promise<Response> => {
      const body: unknown = await context.req.json().catch(() => undefined);
      const answer = (await isAuthorized(context))
        ? await run(body)
        : refused(401, "Unauthorized.");
      return serveCall(context, services, { method, account: undefined }, () => answer);
    };

  function update(body: unknown): Answer {
    const given = STREAM.safeParse(body);
    if (!given.success) {
      const field = given.error.issues[0]?.path.join(".");
      return refused(400, `Stream configuration must contain ${field} field.`);
    }
    if (owner === "firebase") {
      return refused(
        403,
        "Existing stream configuration does not have spec-compliant delivery method for RISC.",
      );
    }
    const { protocol, hostname } = new URL(given.data.delivery.url);
    const isLoopback = hostname === "127.0.0.1" || hostname === "localhost";
    if (protocol !== "https:" && !isLoopback) {
      return refused(403, "The delivery endpoint must be an HTTPS URL.");
    }
    if (!domains.some((domain) => hostname === domain || hostname.endsWith(`.${domain}`))) {
      return refused(
        403,
        "The delivery endpoint does not belong to any of your project's domains.",
      );
    }
    stream = given.data;
    return ok(stream);
  }

  function updateStatus(body: unknown): Answer {
    const given = STATUS.safeParse(body);
    if (!given.success) return refused(403, "Unsupported status.");
    if (stream === undefined) {
      return refused(404, "Project has no existing RISC configuration, cannot update status.");
    }
    ({ status } = given.data);
    return ok({ status });
  }

  async function verify(body: unknown): Promise<Answer> {
    const given = STATE.safeParse(body);
    if (!given.success) return refused(400, "A verification needs a state.");
    if (stream === undefined) return unconfigured();
    if (status === "enabled" && stream.events_requested.includes(VERIFICATION)) {
      const token = model.securityEvent({
        type: "risc/event-type/verification",
        audience,
        detail: given.data,
      });
      await post(stream.delivery.url, token);
    }
    return ok({});
  }

  const routes = new Hono<{ Bindings: HttpBindings }>()
    .post("/v1beta/stream:update", serve("risc.update", update))
    .get(
      "/v1beta/stream",
      serve("risc.get", () => (stream === undefined ? unconfigured() : ok(stream))),
    )
    .get(
      "/v1beta/stream/status",
      serve("risc.getStatus", () => (stream === undefined ? unconfigured() : ok({ status }))),
    )
    .post("/v1beta/stream/status:update", serve("risc.updateStatus", updateStatus))
    .post("/v1beta/stream:verify", serve("risc.verify", verify));

  return { routes, console };
}

function unconfigured(): Answer {
  return refused(404, "Project has no RISC configuration.");
}

function refused(code: number, message: string): Answer {
  return { status: code, body: { error: { code, message } } };
}

/** RFC 8935 section 2. A receiver that is not there misses it. */
async function post(url: string, token: string): Promise<void> {
  await fetch(url, {
    method: "POST",
    body: token,
    headers: { "content-type": "application/secevent+jwt", accept: "application/json" },
    signal: AbortSignal.timeout(DELIVERY_TIMEOUT_MS),
  }).catch(() => undefined);
}
