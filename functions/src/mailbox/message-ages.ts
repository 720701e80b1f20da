import type { Failure } from "../domain/failure.ts";
import type { Unanswered } from "../domain/access.ts";
import { type Result, ok } from "../domain/result.ts";
import type { HistoryMessage } from "../domain/history.ts";
import type { Run } from "./run.ts";

/** Messages of one page whose date is requested. */
const DATED_MESSAGES_MAX = 10;
/** On a page with so few messages every date is requested. */
const SMALL_PAGE_MAX = 40;
/** Dates requested one by one on one page: below what one user may request in a minute. */
export const DATED_ONE_BY_ONE_MAX = 200;
/**
 * How much younger than both its neighbours a listed message can be. Gmail's lists have been seen
 * seven hours out of order, in both directions.
 */
const DISORDER_MS = 16 * 3_600_000;

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
  { earliest, isFailureUnknown }: AgeLimit,
): Promise<Result<boolean, Unanswered>> {
  let isAnyOld = false;
  for (const index of spread(messages.length)) {
    const dated = await dateOf(run, messages[index], isFailureUnknown);
    if (!dated.ok) return dated;
    if (dated.value !== undefined && dated.value >= earliest) {
      return ok(false);
    }
    isAnyOld ||= dated.value !== undefined;
  }
  return ok(isAnyOld);
}

/**
 * Removes the old messages. Where young and old meet on a page, and where the dates are so near to
 * the limit that a younger message can be listed between two old ones, each date is requested;
 * elsewhere the dated messages represent their neighbours. Undated messages are kept.
 */
export async function withoutOld(
  run: Run,
  messages: readonly HistoryMessage[],
  { earliest, isFailureUnknown }: AgeLimit,
): Promise<Result<HistoryMessage[], Unanswered>> {
  const samples = spread(messages.length);
  const dates = new Map<number, Date | undefined>();
  for (const index of samples) {
    const dated = await dateOf(run, messages[index], isFailureUnknown);
    if (!dated.ok) return dated;
    dates.set(index, dated.value);
  }
  const isOld = (date: Date | undefined) => date !== undefined && date < earliest;
  const isNear = (date: Date) => Math.abs(date.getTime() - earliest.getTime()) <= DISORDER_MS;
  const isDoubtful = samples.map((index, nth) => {
    const ends = [dates.get(index), dates.get(samples[nth + 1] ?? index)];
    const isMixed = isOld(ends[0]) !== isOld(ends[1]);
    return isMixed || ends.some((date) => date === undefined || isNear(date));
  });
  let dated = 0;
  for (const [nth, start] of samples.entries()) {
    const end = samples[nth + 1] ?? messages.length;
    const isAsked = [nth - 1, nth, nth + 1].some((near) => isDoubtful[near]);
    for (let index = start + 1; index < end; index++) {
      if (!isAsked || dated >= DATED_ONE_BY_ONE_MAX) {
        dates.set(index, dates.get(start));
        continue;
      }
      dated += 1;
      const answer = await dateOf(run, messages[index], isFailureUnknown);
      if (!answer.ok) return answer;
      dates.set(index, answer.value);
    }
  }
  return ok(messages.filter((_, index) => !isOld(dates.get(index))));
}

/** Returns indexes of a list, ascending, from the first to the last: all of a short one. */
function spread(length: number): number[] {
  const count = length <= SMALL_PAGE_MAX ? length : DATED_MESSAGES_MAX;
  const step = count > 1 ? (length - 1) / (count - 1) : 0;
  return Array.from({ length: count }, (_, nth) => Math.round(nth * step));
}

/** Returns the date of a message; `undefined` if it is gone, or Gmail has no date for it. */
async function dateOf(
  run: Run,
  message: HistoryMessage | undefined,
  isFailureUnknown: boolean,
): Promise<Result<Date | undefined, Unanswered>> {
  const { context, access, user } = run;
  if (message === undefined) return ok(undefined);
  const { id: messageId } = message;
  const dated = await access.call("messages.get", (bearer) =>
    context.gmail.getInternalDate(bearer, messageId),
  );
  if (dated.ok || dated.error === "superseded") return dated;
  const { failure } = dated.error;
  if (failure.kind === "gone") return ok(undefined);
  const isLasting = failure.kind === "transient" || failure.kind === "refused";
  if (!isOfMessage(failure) && !(isFailureUnknown && isLasting)) return dated;
  // Requested for ever, one message would block the whole mailbox.
  context.log.error("message_date_unreadable", "Gmail returned a message without a valid date", {
    userId: user.id,
    messageId,
  });
  return ok(undefined);
}

/** Google has answered, without a date: a retry would not change that. */
function isOfMessage(failure: Failure): boolean {
  const isMalformed = failure.kind === "transient" && failure.reason === "malformed_answer";
  return isMalformed || failure.kind === "bad_request";
}
