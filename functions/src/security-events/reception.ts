import type { SecurityEventContext } from "./context.ts";
import { later } from "../domain/clock.ts";
import { FailedCall } from "../domain/failure.ts";
import type { SecurityEventToken } from "./event.ts";
import { type Reaction, react } from "./reaction.ts";
import type { Refusal } from "./refusal.ts";

/** The result of a delivery. */
export type Reception =
  | { kind: "accepted"; token: SecurityEventToken; reactions: readonly Reaction[] }
  | { kind: "repeated"; token: SecurityEventToken }
  | { kind: "refused"; refusal: Refusal }
  /** Google's keys are not available. */
  | { kind: "unavailable"; reason: string };

/** Google retries a delivery for hours, not for weeks. */
const SEEN_MS = 30 * 24 * 3_600_000;

/**
 * Handles a delivery: verifies it, performs its effect, and then records it. A crash in between, or
 * two simultaneous deliveries, repeat the effect, which changes nothing more; recorded first, a
 * crash would lose it. Writes nothing for an unverified token. Throws what the store throws.
 */
export async function receive(body: string, context: SecurityEventContext): Promise<Reception> {
  const verification = await context.verifySecurityEvent(body);
  if (!verification.ok) return unverified(verification.error);
  const token = verification.value;
  const { seenEvents, clock } = context;
  if (await seenEvents.has(token.id)) return { kind: "repeated", token };
  const reactions: Reaction[] = [];
  for (const event of token.events) {
    if (event.kind === "verification" || event.kind === "unknown") continue;
    reactions.push(await react(event, token, context));
  }
  await seenEvents.add(token.id, later(clock.now(), SEEN_MS));
  return { kind: "accepted", token, reactions };
}

function unverified(why: Refusal | FailedCall): Reception {
  return why instanceof FailedCall
    ? { kind: "unavailable", reason: why.failure.reason }
    : { kind: "refused", refusal: why };
}
