import pLimit from "p-limit";
import type { AddedMessage, Change, Gap, MissingDetail } from "../domain/events.ts";
import { type Failure, attempt } from "../domain/failure.ts";
import type { Run } from "./run.ts";

/** What all details of one publication may take together: the events do not wait longer. */
export const DETAIL_MS_MAX = 2_000;
/** Gmail limits the calls at a time for one mailbox. */
const CONCURRENCY = 5;

/**
 * Returns the events with the details of added messages, if they are configured. The details never
 * hold an event up and never fail a run: one that Gmail does not return in time is left out, and the
 * event says so.
 */
export async function withDetails<T extends Change | Gap>(
  run: Run,
  events: readonly T[],
): Promise<readonly (T | AddedMessage)[]> {
  const { context, access, user } = run;
  if (!context.config.changes.isDetailed || !events.some(isAdded)) return events;
  const deadline = context.clock.now().getTime() + DETAIL_MS_MAX;
  const limit = pLimit(CONCURRENCY);
  // The run has just listed with it, so it costs no call.
  const token = await access.token();

  async function detailed(event: AddedMessage): Promise<AddedMessage> {
    const leftMs = deadline - context.clock.now().getTime();
    if (!token.ok) return { ...event, headersMissing: "failed" };
    if (leftMs <= 0) return { ...event, headersMissing: "late" };
    if (!context.detailUnits.take(user.id)) return { ...event, headersMissing: "throttled" };
    // Not behind the circuit, where a call can wait for the probe of another one.
    const answer = await attempt(() =>
      context.gmail.getDetail(token.value, event.messageId, leftMs),
    );
    if (answer.ok) return { ...event, ...answer.value };
    const isLate = context.clock.now().getTime() >= deadline;
    return { ...event, headersMissing: isLate ? "late" : missingOf(answer.error.failure) };
  }

  return Promise.all(
    events.map((event) => (isAdded(event) ? limit(() => detailed(event)) : event)),
  );
}

function isAdded(event: Change | Gap): event is AddedMessage {
  return event.kind === "added";
}

function missingOf({ kind }: Failure): MissingDetail {
  if (kind === "gone") return "gone";
  return kind === "rate_limited" ? "throttled" : "failed";
}
