import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context } from "hono";
import type { Answer } from "./answer.ts";
import type { CallLog } from "./calls.ts";
import type { Faults } from "./faults.ts";

export type EmulatorContext = Context<{ Bindings: HttpBindings }>;

export interface CallServices {
  readonly calls: CallLog;
  readonly faults: Faults;
  readonly now: () => number;
}

/** Lets one call meet its faults before and after its effect, answers it, and writes it down. */
export async function serveCall(
  context: EmulatorContext,
  { calls, faults, now }: CallServices,
  { method, account }: { method: string; account: string | undefined },
  run: () => Answer,
): Promise<Response> {
  const startedAt = performance.now();
  const fate = faults.take(method, account);
  await fate.before?.wait();
  let outcome = fate.before?.instead;
  if (outcome === undefined) {
    const answer = run();
    await fate.after?.wait();
    outcome = fate.after?.instead ?? answer;
  }
  const status = outcome === "drop" ? 0 : outcome.status;
  const durationMs = Math.round(performance.now() - startedAt);
  calls.record({
    method,
    ...(account !== undefined && { account }),
    status,
    at: now(),
    durationMs,
  });
  return outcome === "drop" ? dropConnection(context) : toResponse(outcome);
}

function dropConnection(context: EmulatorContext): Response {
  context.env.incoming.socket.destroy();
  return RESPONSE_ALREADY_SENT;
}

const JSON_TYPE = "application/json; charset=UTF-8";

function toResponse({ status, body, headers = {} }: Answer): Response {
  const sent = { "cache-control": "no-store", ...headers };
  if (body === undefined || typeof body === "string") {
    return new Response(status === 204 ? null : (body ?? ""), { status, headers: sent });
  }
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": JSON_TYPE, ...sent },
  });
}
