import pLimit from "p-limit";
import type { User, UserId, UserPage, UserStore } from "../../functions/src/domain/user.ts";

/** Users read at a time, so the memory of a command does not grow with the fleet. */
const PAGE_USERS = 300;
const CONCURRENCY = 16;

/** Yields all users, or those after the given one, page by page: one document read for each. */
export async function* pagesOfUsers(store: UserStore, after?: UserId): AsyncGenerator<UserPage> {
  // Ends with the collection: each page begins after the last user of the one before.
  for (let last = after; ;) {
    const page = await store.listAll(last, PAGE_USERS);
    yield page;
    if (page.users.length < PAGE_USERS) return;
    last = page.users.at(-1)?.id;
  }
}

/** The progress of a walk over all users. */
export interface Progress {
  users: number;
  /** The last user that is done; all users before it are done, too. */
  upTo: UserId;
}

/**
 * Calls `act` for every user, several at a time, and `onProgress` after each page. Resolves to the
 * number of documents that cannot be read as users.
 */
export async function eachUser(
  store: UserStore,
  after: UserId | undefined,
  onProgress: (progress: Progress) => void,
  act: (user: User) => void | Promise<void>,
): Promise<number> {
  const limit = pLimit(CONCURRENCY);
  let skipped = 0;
  let count = 0;
  for await (const { users, unreadable } of pagesOfUsers(store, after)) {
    skipped += unreadable.length;
    await Promise.all(users.map((user) => limit(async () => act(user))));
    count += users.length;
    const upTo = users.at(-1)?.id;
    if (upTo !== undefined) onProgress({ users: count, upTo });
  }
  return skipped;
}
