import { StoreContended } from "../platform/store-error.ts";
import {
  type StoredChange,
  type User,
  type UserId,
  type UserPatch,
  type UserStore,
  patched,
} from "../domain/user.ts";

/** Consecutive refused writes; each one means that another writer changed the document. */
const TRIES_MAX = 10;

/**
 * The maximum number of changes in the commit of a patch. If there are more, the earlier ones are
 * stored before it.
 */
const COMMIT_CHANGES_MAX = 300;

/** The result of a read-modify-write. */
export type Modified =
  /** `user` is what is stored now, with the times of the read before the write. */
  | { kind: "written"; user: User }
  /** `user` is the one that `change` skipped; absent if none can be read. */
  | { kind: "skipped"; user: User | undefined };

/** How a user is modified. */
export interface ModifyOptions {
  /** What is written, for the error's message: "a watch". */
  what: string;
  /** The user that was read before, which saves the first read. */
  from?: User;
  /** Changes to store with the patch, in its commit as far as they fit. */
  changes?: (user: User) => readonly StoredChange[];
  /** Awaited after each refused write. */
  pause?: () => Promise<void>;
}

/**
 * Reads a user, writes what `change` returns on the condition that the user is unchanged, and
 * starts again if another writer gets in between: the only loop around `users.update`. `change` may
 * run several times, has no effects, and must recognize its own result, because a write can have
 * been applied although it was refused. Throws {@link StoreContended} after too many refusals. It
 * is a function over `find` and `update`, not a method of the store, so that wrappers of a store
 * (spans, the simulation, a test's faults) see every read and write.
 */
export async function modify(
  users: Pick<UserStore, "find" | "update" | "keepMissing">,
  id: UserId,
  change: (user: User) => UserPatch | "skip",
  { what, from, changes, pause }: ModifyOptions,
): Promise<Modified> {
  let user = from ?? (await users.find(id));
  for (let tries = 1; ; tries++) {
    const patch = user === undefined ? "skip" : change(user);
    if (user === undefined || patch === "skip") return { kind: "skipped", user };
    const kept = changes?.(user) ?? [];
    const earlier = kept.slice(0, -COMMIT_CHANGES_MAX);
    const isKept = earlier.length === 0 || (await users.keepMissing(user, earlier)) === "written";
    const written = isKept
      ? await users.update(user, patch, kept.slice(-COMMIT_CHANGES_MAX))
      : "refused";
    if (written !== "refused") {
      return { kind: "written", user: { ...patched(user, patch), revision: written } };
    }
    if (tries === TRIES_MAX) throw new StoreContended(what);
    await pause?.();
    user = await users.find(id);
  }
}

/**
 * Erases a user if `judge` allows it, and starts again if another writer gets in between. Resolves
 * to `erased`, to `not_found`, or to what `judge` returns instead; `judge` has no effects. Throws
 * {@link StoreContended} after too many refusals.
 */
export async function eraseIf<T>(
  users: Pick<UserStore, "find" | "erase">,
  id: UserId,
  judge: (user: User) => T | "erase",
): Promise<T | "erased" | "not_found"> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const user = await users.find(id);
    if (user === undefined) return "not_found";
    const verdict = judge(user);
    if (verdict !== "erase") return verdict;
    if ((await users.erase(user)) === "erased") return "erased";
  }
  throw new StoreContended("an erasure");
}
