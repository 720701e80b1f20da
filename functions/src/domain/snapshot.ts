import { later } from "./clock.ts";
import type { Existing, SnapshotCompleted, SnapshotFailed } from "./events.ts";
import type { Failure } from "./failure.ts";
import { type FailedStep, noteFailure } from "./failure-streak.ts";
import type { HistoryMessage } from "./history.ts";
import type { HistoryId } from "./history-id.ts";
import type { Snapshot, User } from "./user.ts";

/*
 * A snapshot publishes the mail that was already in a mailbox, from the newest message, page by
 * page: it publishes a page, then stores where the next one begins.
 */

/** Consecutive pages with only old messages, after which a listing ends: lists are not sorted. */
const OLD_PAGES_ENDING = 2;
/** Messages remembered of the last page: any of them may be deleted. */
const EDGE_MAX = 10;
const DAY_MS = 24 * 3_600_000;
/** How long a snapshot fails before it is given up: longer than a daily limit of Google, or an outage. */
const FAILING_MS_MAX = 3 * DAY_MS;
/**
 * Failures further apart are not consecutive: in between, the snapshot was not tried, because access
 * had ended or nothing ran. The waits between attempts are at most an hour.
 */
const FAILURES_APART_MS_MAX = DAY_MS;

/** Returns a snapshot of the messages since a date, which begins at the cursor. */
export function newSnapshot(since: Date, upToHistoryId: HistoryId, at: Date): Snapshot {
  const id = String(at.getTime());
  return { id, since, upToHistoryId, requestedAt: at, messages: 0, listing: 0 };
}

/** Returns the snapshot that is still to be published, if there is one. */
export function runningSnapshot({ snapshot }: Pick<User, "snapshot">): Snapshot | undefined {
  const isOver = snapshot?.completedAt !== undefined || snapshot?.failedAt !== undefined;
  return isOver ? undefined : snapshot;
}

/**
 * Returns when a snapshot may begin: once Gmail's index shows every message from before it was
 * requested.
 */
export function snapshotStart({ requestedAt }: Snapshot, settleMs: number): Date {
  return later(requestedAt, settleMs);
}

/** Returns whether every listing has ended. `labels`: how many are watched. */
export function isListed({ listing }: Snapshot, labels: number): boolean {
  return listing >= Math.max(labels, 1);
}

/** A page of a snapshot that has been published. */
export interface SnapshotPage {
  /** What was not published before. */
  messages: readonly HistoryMessage[];
  nextPageToken: string | undefined;
  /** How many messages of it are published. */
  published: number;
  /** It contains only old messages. */
  isOld: boolean;
}

/**
 * Records a published page, and whether its listing ends with it. It ends the failures, unless it
 * only found the place again at which Gmail rejected the next page.
 */
export function afterSnapshotPage(snapshot: Snapshot, page: SnapshotPage): Snapshot {
  const { messages, nextPageToken: token, published, isOld } = page;
  const { isSeeking, token: _, oldPages: before = 0, edge: earlier, failure, ...rest } = snapshot;
  // An empty page says nothing.
  const oldPages = isOld ? before + 1 : messages.length === 0 ? before : 0;
  const next = { ...rest, messages: rest.messages + published };
  if (token === undefined || oldPages >= OLD_PAGES_ENDING)
    return { ...next, listing: rest.listing + 1 };
  const last = messages.slice(-EDGE_MAX).map(({ id }) => id);
  const edge = last.length > 0 ? last : earlier;
  const isFurther = isSeeking !== true || messages.length > 0;
  return {
    ...next,
    token,
    oldPages,
    ...(edge !== undefined && { edge }),
    ...(!isFurther && failure !== undefined && { failure }),
  };
}

/**
 * Returns the messages of a page that are still to be published; `undefined` while the end of the
 * last page has not been found again.
 */
export function unpublishedOf(
  { isSeeking, edge = [] }: Snapshot,
  messages: readonly HistoryMessage[],
): readonly HistoryMessage[] | undefined {
  // New mail moves the end of the last page to the next one.
  if (isSeeking !== true) return messages.filter(({ id }) => !edge.includes(id));
  const last = messages.findLastIndex(({ id }) => edge.includes(id));
  return last < 0 ? undefined : messages.slice(last + 1);
}

/**
 * Records a page that was skipped. At the end of the listing all remembered messages are gone: the
 * listing is published once more.
 */
export function afterSkippedPage(snapshot: Snapshot, token: string | undefined): Snapshot {
  if (token !== undefined) return { ...snapshot, token };
  const { isSeeking: _, token: __, edge: ___, oldPages: ____, ...rest } = snapshot;
  return { ...rest, messages: 0 };
}

/** Starts the listing again when Gmail rejects a page token: it may live for only an hour. */
export function afterRefusedPage({ token: _, ...snapshot }: Snapshot): Snapshot {
  return snapshot.edge === undefined ? snapshot : { ...snapshot, isSeeking: true };
}

/** Leaves out the current listing, because the mailbox does not have its label. */
export function withoutListing(snapshot: Snapshot): Snapshot {
  const { token: _, edge: __, isSeeking: ___, oldPages: ____, failure: _____, ...rest } = snapshot;
  return { ...rest, listing: rest.listing + 1 };
}

/** Records a failed call. */
export function afterFailure(
  snapshot: Snapshot,
  failure: Failure,
  step: FailedStep,
  now: Date,
): Snapshot {
  const { failure: before } = snapshot;
  const isNext = before !== undefined && later(before.at, FAILURES_APART_MS_MAX) >= now;
  return { ...snapshot, failure: noteFailure(isNext ? before : undefined, failure, step, now) };
}

/** Returns why a snapshot is given up: for what has failed too long to go on, unless that is ours. */
export function reasonToGiveUp({ failure }: Snapshot): string | undefined {
  if (failure === undefined || failure.family === "ours") return undefined;
  return later(failure.since, FAILING_MS_MAX) <= failure.at ? failure.reason : undefined;
}

/** Returns whether two states of a user are at the same place of the same snapshot. */
export function isSamePlace(a: Snapshot | undefined, b: Snapshot | undefined): boolean {
  const place = (snapshot: Snapshot | undefined) => {
    if (snapshot === undefined) return undefined;
    const { id, listing, token, isSeeking, messages, completedAt, failedAt } = snapshot;
    return JSON.stringify([id, listing, token, isSeeking, messages, completedAt, failedAt]);
  };
  return place(a) === place(b);
}

/** Returns the events of messages that exist. A list of messages does not contain their labels. */
export function toExisting(
  { id: snapshotId, upToHistoryId: historyId }: Snapshot,
  messages: readonly HistoryMessage[],
): Existing[] {
  return messages.map(({ id: messageId, threadId }) => ({
    kind: "existing",
    snapshotId,
    historyId,
    messageId,
    ...(threadId !== undefined && { threadId }),
    // Not even the listed one: a message with two of them is listed twice, under one id.
    labelIds: [],
  }));
}

/** Returns the event that ends a complete snapshot. */
export function toCompleted({ id, messages, upToHistoryId }: Snapshot): SnapshotCompleted {
  return { kind: "snapshot_completed", snapshotId: id, messages, upToHistoryId };
}

/** Returns the event that ends a snapshot that was given up. */
export function toFailed(
  { id, messages, upToHistoryId }: Snapshot,
  reason: string,
): SnapshotFailed {
  return { kind: "snapshot_failed", snapshotId: id, messages, upToHistoryId, reason };
}
