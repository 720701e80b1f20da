import type { WalkedPage } from "../domain/user.ts";
import type { Unanswered } from "../domain/access.ts";
import { type Result, ok } from "../domain/result.ts";
import type { HistoryMessage, MessageListing, MessagePage } from "../domain/history.ts";
import type { Run } from "./run.ts";

/**
 * How many pages to search for a page that new mail has moved since the scan: ten thousand
 * messages, or two thousand where each is dated.
 */
const SHIFTED_PAGES_MAX = 20;
/** Messages of one page whose labels are requested; if there are more, each is published. */
const ASKED_MESSAGES_MAX = 50;
/** Pages of drafts to leave out. */
const DRAFT_PAGES_MAX = 10;

/** Lists one page of messages. */
export function listPage(
  run: Run,
  listing: MessageListing,
  token: string | undefined,
): Promise<Result<MessagePage, Unanswered>> {
  const { context, access } = run;
  return access.call("messages.list", (bearer) =>
    context.gmail.listMessages(bearer, listing, token),
  );
}

/** Messages of a page, sorted into those to publish and the rest. */
export interface Sorted {
  /** The messages to publish, newest first. */
  messages: HistoryMessage[];
  /** Every message that was decided on: these, the drafts, and deleted ones. */
  decided: ReadonlySet<string>;
}

/**
 * Reads messages and leaves the drafts out. A list of messages does not contain their labels, and
 * every autosave replaces a draft by a new message. So the drafts are listed between two reads: a
 * message in both reads existed in between, among the drafts if it was one. A message in only one
 * of them has appeared or gone, or one server was behind: its labels are requested.
 */
export async function withoutDrafts(
  run: Run,
  read: () => Promise<Result<HistoryMessage[], Unanswered>>,
  /** A message that cannot be read is published, after this step has failed too often. */
  isFailureTold: boolean,
): Promise<Result<Sorted, Unanswered>> {
  const before = await read();
  if (!before.ok) return before;
  if (before.value.length === 0 || run.context.config.changes.publishDrafts) {
    const decided = new Set(before.value.map(({ id }) => id));
    return ok({ messages: before.value, decided });
  }
  const drafts = await readDrafts(run);
  if (!drafts.ok) return drafts;
  const after = await read();
  if (!after.ok) return after;
  const reads = { before: before.value, after: after.value, drafts: drafts.value };
  return sortOut(run, reads, isFailureTold);
}

/** Sorts what was listed before and after the drafts were. */
export async function sortOut(
  run: Run,
  reads: {
    before: readonly HistoryMessage[];
    after: readonly HistoryMessage[];
    drafts: ReadonlySet<string>;
  },
  isFailureTold: boolean,
): Promise<Result<Sorted, Unanswered>> {
  const { before, after, drafts } = reads;
  const isBefore = new Set(before.map(({ id }) => id));
  const isAfter = new Set(after.map(({ id }) => id));
  const all = [...after.filter(({ id }) => !isBefore.has(id)), ...before];
  const decided = new Set([...all.map(({ id }) => id), ...drafts]);
  const messages: HistoryMessage[] = [];
  let asked = 0;
  for (const message of all) {
    const { id } = message;
    if (drafts.has(id)) continue;
    const isUnsure = !isBefore.has(id) || !isAfter.has(id);
    if (isUnsure && asked < ASKED_MESSAGES_MAX) {
      asked += 1;
      const isTold = await isToBeTold(run, id, isFailureTold);
      if (!isTold.ok) return isTold;
      if (!isTold.value) continue;
    }
    messages.push(message);
  }
  return ok({ messages, decided });
}

/** Returns false for a deleted message, and for a draft where drafts are not published. */
async function isToBeTold(
  run: Run,
  messageId: string,
  isFailureTold: boolean,
): Promise<Result<boolean, Unanswered>> {
  const { context, access } = run;
  const labels = await access.call("messages.get", (bearer) =>
    context.gmail.getLabelIds(bearer, messageId),
  );
  const { publishDrafts } = context.config.changes;
  if (labels.ok) return ok(publishDrafts || !labels.value.includes("DRAFT"));
  if (labels.error === "superseded") return labels;
  switch (labels.error.failure.kind) {
    case "gone":
      return ok(false);
    case "bad_request":
      return ok(true);
    case "refused":
    case "transient":
      return isFailureTold ? ok(true) : labels;
    default:
      return labels;
  }
}

/**
 * Returns the messages that a page contained when it was scanned. New mail has moved them, so the
 * first message of the page is searched for, and the page after it is read, too. Newer messages are
 * on another page of the scan, or the history contains them after the pinned head. If the first
 * message is gone, everything that was read is published: some too many do no harm.
 */
export async function readPage(
  run: Run,
  listing: MessageListing,
  page: WalkedPage,
): Promise<Result<HistoryMessage[], Unanswered>> {
  const messages: HistoryMessage[] = [];
  let token = page.token;
  let first = -1;
  for (let pages = 0; pages <= SHIFTED_PAGES_MAX; pages++) {
    const listed: Result<MessagePage, Unanswered> = await listPage(run, listing, token);
    if (!listed.ok) return listed;
    run.pages += 1;
    const known = new Set(messages.map(({ id }) => id));
    messages.push(...listed.value.messages.filter(({ id }) => !known.has(id)));
    token = listed.value.nextPageToken;
    const isThrough = first >= 0;
    first = messages.findIndex(({ id }) => id === page.firstMessageId);
    if (isThrough || first === 0 || token === undefined) break;
  }
  return ok(messages.slice(Math.max(first, 0)));
}

/** What the second pass knows of the first pages. */
export interface FirstPages {
  /** Their content when the scan began. */
  newest: ReadonlySet<string>;
  /** The messages of it that were missing when they should have been published. */
  untold: ReadonlySet<string>;
  /** Returns whether the search can end at a page that contains none of `newest`. */
  isEnd: (messages: readonly HistoryMessage[]) => Promise<Result<boolean, Unanswered>>;
}

/**
 * Returns the messages of the first pages that are still to be published: those that were missing
 * when the scan began, down to the last one of `newest`, and those of `untold`. Ends with the first
 * page after those of `newest`.
 */
export async function readNew(
  run: Run,
  listing: MessageListing,
  { newest, untold, isEnd }: FirstPages,
): Promise<Result<HistoryMessage[], Unanswered>> {
  const messages = new Map<string, HistoryMessage>();
  let isMet = false;
  let token: string | undefined;
  for (let pages = 0; pages <= SHIFTED_PAGES_MAX; pages++) {
    const listed: Result<MessagePage, Unanswered> = await listPage(run, listing, token);
    if (!listed.ok) return listed;
    run.pages += 1;
    const isNewest = listed.value.messages.some(({ id }) => newest.has(id));
    isMet ||= isNewest;
    const ended: Result<boolean, Unanswered> = isMet
      ? ok(false)
      : await isEnd(listed.value.messages);
    if (!ended.ok) return ended;
    if (ended.value) break;
    for (const message of listed.value.messages) messages.set(message.id, message);
    token = listed.value.nextPageToken;
    const isThrough = isMet && !isNewest && [...untold].every((id) => messages.has(id));
    if (isThrough || token === undefined) break;
  }
  const all = [...messages.values()];
  const last = all.findLastIndex(({ id }) => newest.has(id));
  const isNew = ({ id }: HistoryMessage, index: number) =>
    !newest.has(id) && (last < 0 || index < last);
  const told = all.filter((message, index) => isNew(message, index) || untold.has(message.id));
  return ok(told);
}

/** Returns the drafts; none where drafts are published like other messages. */
export async function readDrafts(run: Run): Promise<Result<ReadonlySet<string>, Unanswered>> {
  const listing = { labelId: "DRAFT" };
  const drafts = new Set<string>();
  if (run.context.config.changes.publishDrafts) return ok(drafts);
  let token: string | undefined;
  for (let pages = 0; pages < DRAFT_PAGES_MAX; pages++) {
    const listed: Result<MessagePage, Unanswered> = await listPage(run, listing, token);
    if (!listed.ok) return listed;
    for (const { id } of listed.value.messages) drafts.add(id);
    token = listed.value.nextPageToken;
    if (token === undefined) break;
  }
  return ok(drafts);
}
