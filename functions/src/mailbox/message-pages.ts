import type { WalkedPage } from "../user.ts";
import type { Answer } from "./access.ts";
import type { HistoryMessage, MessagePage } from "./history.ts";
import type { Run } from "./sync-run.ts";

/** How far a page is looked for when mail has arrived since the walk: ten thousand messages. */
const SHIFTED_PAGES_MAX = 20;
/** Pages of drafts to leave out. */
const DRAFT_PAGES_MAX = 10;

/** Lists one page of messages, with one label or all. */
export function listPage(
  run: Run,
  labelId: string | undefined,
  token: string | undefined,
): Promise<Answer<MessagePage>> {
  const { services, access } = run;
  return access.call("messages.list", (bearer) =>
    services.listMessages(bearer, { token, labelId }),
  );
}

/**
 * Reads messages without the drafts among them, which can only be known by their ids: a list of
 * messages does not say what labels they carry, and every autosave puts a new message in the place
 * of the old one. So the drafts are listed between two readings. What is on both readings was there
 * in between, among the drafts if it was one. What is on one of them only has come or gone since
 * the head was pinned, and the history after that tells of it. A draft gets through where Gmail's
 * lists of one mailbox lag behind each other, or beyond the pages of drafts that are read.
 */
export async function withoutDrafts(
  run: Run,
  read: () => Promise<Answer<HistoryMessage[]>>,
): Promise<Answer<HistoryMessage[]>> {
  const before = await read();
  if (before.kind !== "answered" || before.value.length === 0) return before;
  if (run.services.changeFilter.publishDrafts) return before;
  const drafts = await readDrafts(run);
  if (drafts.kind !== "answered") return drafts;
  const after = await read();
  if (after.kind !== "answered") return after;
  const present = new Set(after.value.map(({ id }) => id));
  const messages = before.value.filter(({ id }) => present.has(id) && !drafts.value.has(id));
  return { kind: "answered", value: messages };
}

/**
 * The messages that a page held when it was walked over. Mail that arrived since has pushed them
 * down, so the message that the page began with is looked for, and the page after it is read too.
 * What is newer is on another page of the walk, or history tells of it after the pinned head. When
 * that message is gone, everything that was read is told: some too many do no harm.
 */
export async function readPage(
  run: Run,
  labelId: string | undefined,
  page: WalkedPage,
): Promise<Answer<HistoryMessage[]>> {
  const messages: HistoryMessage[] = [];
  let token = page.token;
  let first = -1;
  for (let pages = 0; pages <= SHIFTED_PAGES_MAX; pages++) {
    const listed: Answer<MessagePage> = await listPage(run, labelId, token);
    if (listed.kind !== "answered") return listed;
    run.pages += 1;
    const known = new Set(messages.map(({ id }) => id));
    messages.push(...listed.value.messages.filter(({ id }) => !known.has(id)));
    token = listed.value.nextPageToken;
    const isThrough = first >= 0;
    first = messages.findIndex(({ id }) => id === page.firstMessageId);
    if (isThrough || first === 0 || token === undefined) break;
  }
  return { kind: "answered", value: messages.slice(Math.max(first, 0)) };
}

/**
 * The messages that the first pages hold now and did not when the walk began: above the last one of
 * `newest`, on the page that leads back to them and on the one after it. `isEnd` says of a page
 * without any of them that it need not be looked at, nor what is after it.
 */
export async function readNew(
  run: Run,
  labelId: string | undefined,
  newest: ReadonlySet<string>,
  isEnd: (messages: readonly HistoryMessage[]) => Promise<Answer<boolean>>,
): Promise<Answer<HistoryMessage[]>> {
  const messages: HistoryMessage[] = [];
  let isMet = false;
  let token: string | undefined;
  for (let pages = 0; pages <= SHIFTED_PAGES_MAX; pages++) {
    const listed: Answer<MessagePage> = await listPage(run, labelId, token);
    if (listed.kind !== "answered") return listed;
    run.pages += 1;
    const wasMet = isMet;
    isMet ||= listed.value.messages.some(({ id }) => newest.has(id));
    const ended: Answer<boolean> = isMet
      ? { kind: "answered", value: false }
      : await isEnd(listed.value.messages);
    if (ended.kind !== "answered") return ended;
    if (ended.value) break;
    messages.push(...listed.value.messages);
    token = listed.value.nextPageToken;
    if (wasMet || token === undefined) break;
  }
  const last = messages.findLastIndex(({ id }) => newest.has(id));
  const candidates = last < 0 ? messages : messages.slice(0, last);
  return { kind: "answered", value: candidates.filter(({ id }) => !newest.has(id)) };
}

async function readDrafts(run: Run): Promise<Answer<ReadonlySet<string>>> {
  const drafts = new Set<string>();
  let token: string | undefined;
  for (let pages = 0; pages < DRAFT_PAGES_MAX; pages++) {
    const listed: Answer<MessagePage> = await listPage(run, "DRAFT", token);
    if (listed.kind !== "answered") return listed;
    for (const { id } of listed.value.messages) drafts.add(id);
    token = listed.value.nextPageToken;
    if (token === undefined) break;
  }
  return { kind: "answered", value: drafts };
}
