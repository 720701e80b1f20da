import type { Failure } from "../domain/failure.ts";
import { later } from "../domain/clock.ts";
import type { Answer } from "../domain/access.ts";
import type { HistoryMessage } from "../domain/history.ts";
import type { Run } from "./run.ts";

/** Messages of one page whose date is requested. */
const DATED_MESSAGES_MAX = 10;
/**
 * On a page with so few messages every date is requested: in a mailbox that was connected only
 * minutes before, there may be no margin for the disorder of Gmail's lists.
 */
const SMALL_PAGE_MAX = 40;
/** Dates requested one by one on one page: below what one user may request in a minute. */
const DATED_ONE_BY_ONE_MAX = 200;

/** `unknown`: the message is gone, or Gmail has no date for it. */
type Age = "young" | "old" | "unknown";

/** Which messages are old. */
export interface AgeLimit {
  /** Older messages are old. */
  earliest: Date;
  /**
   * A message whose date cannot be read counts as undated, after this step has failed too often.
   */
  isFailureUnknown: boolean;
}

/**
 * Returns whether a page contains only old messages. `messages.list` is not sorted by date, so one
 * old message says nothing: several dates are requested, spread over the page, until the first
 * young message.
 */
export async function isOldPage(
  run: Run,
  messages: readonly HistoryMessage[],
  limit: AgeLimit,
): Promise<Answer<boolean>> {
  let isAnyOld = false;
  for (const index of spread(messages.length)) {
    const age = await ageOf(run, messages[index], limit);
    if (age.kind !== "answered") return age;
    if (age.value === "young") return { kind: "answered", value: false };
    isAnyOld ||= age.value === "old";
  }
  return { kind: "answered", value: isAnyOld };
}

/**
 * Removes the old messages. Around every place of a page where young and old meet, each date is
 * requested; elsewhere the dated messages represent their neighbours. Undated messages are kept.
 */
export async function withoutOld(
  run: Run,
  messages: readonly HistoryMessage[],
  limit: AgeLimit,
): Promise<Answer<HistoryMessage[]>> {
  const samples = spread(messages.length);
  const ages = new Map<number, Age>();
  for (const index of samples) {
    const age = await ageOf(run, messages[index], limit);
    if (age.kind !== "answered") return age;
    ages.set(index, age.value);
  }
  const isMixed = samples.slice(1).map((index, before) => {
    const ends = [ages.get(samples[before] ?? 0), ages.get(index)];
    return ends.includes("unknown") || ends[0] !== ends[1];
  });
  let dated = 0;
  for (const [interval, start] of samples.entries()) {
    const end = samples[interval + 1] ?? messages.length;
    const isNear = [interval - 1, interval, interval + 1].some((near) => isMixed[near]);
    for (let index = start + 1; index < end; index++) {
      if (!isNear || dated >= DATED_ONE_BY_ONE_MAX) {
        ages.set(index, ages.get(start) ?? "unknown");
        continue;
      }
      dated += 1;
      const age = await ageOf(run, messages[index], limit);
      if (age.kind !== "answered") return age;
      ages.set(index, age.value);
    }
  }
  const kept = messages.filter((_, index) => ages.get(index) !== "old");
  return { kind: "answered", value: kept };
}

/** Returns indexes of a list, ascending, from the first to the last: all of a short one. */
function spread(length: number): number[] {
  const count = length <= SMALL_PAGE_MAX ? length : DATED_MESSAGES_MAX;
  const step = count > 1 ? (length - 1) / (count - 1) : 0;
  return Array.from({ length: count }, (_, nth) => Math.round(nth * step));
}

async function ageOf(
  run: Run,
  message: HistoryMessage | undefined,
  { earliest, isFailureUnknown }: AgeLimit,
): Promise<Answer<Age>> {
  const { context, access, user } = run;
  if (message === undefined) return { kind: "answered", value: "unknown" };
  const { id: messageId } = message;
  const dated = await access.call("messages.get", (bearer) =>
    context.gmail.getInternalDate(bearer, messageId),
  );
  if (dated.kind === "answered") {
    return { kind: "answered", value: dated.value < earliest ? "old" : "young" };
  }
  if (dated.kind === "superseded") return dated;
  const { failure } = dated;
  if (failure.kind === "gone") return { kind: "answered", value: "unknown" };
  const isLasting = failure.kind === "transient" || failure.kind === "refused";
  if (!isOfMessage(failure) && !(isFailureUnknown && isLasting)) return dated;
  // Requested for ever, one message would block the whole mailbox.
  context.log.error("message_date_unreadable", "Gmail returned a message without a valid date", {
    userId: user.id,
    messageId,
  });
  return { kind: "answered", value: "unknown" };
}

/** Google has answered, without a date: a retry would not change that. */
function isOfMessage(failure: Failure): boolean {
  const isMalformed = failure.kind === "transient" && failure.reason === "malformed_answer";
  return isMalformed || failure.kind === "bad_request";
}

/**
 * Returns the date that is a margin before `since`, and never one from before the mailbox was
 * connected.
 */
export function earliestOf(since: Date, marginMs: number, connectedAt: Date | undefined): Date {
  const wanted = later(since, -marginMs);
  return connectedAt !== undefined && connectedAt > wanted ? connectedAt : wanted;
}
