import { type Clock, type Random, later } from "../domain/clock.ts";
import { type User, type UserId, type UserStore, parseUserId } from "../domain/user.ts";

interface OthersContext {
  users: UserStore;
  clock: Clock;
  random: Random;
  config: { sync: { reconcileAfterMs: number } };
}

/** The users in one sample, and those of them that are judged. */
const READ_MAX = 30;
const JUDGED_MAX = 10;
/** A healthy mailbox is read completely once per quiet interval, spread, and a little more. */
const RECENT_SHARE = 1.25;
/** Google's ids have 21 digits. */
const ID_DIGITS = 21;

/**
 * Returns whether other mailboxes work while this one fails, judged by the stored state of a random
 * few: `succeed` if at least half of them were read completely recently and do not fail.
 */
export async function othersSucceed(
  { id }: Pick<User, "id">,
  context: OthersContext,
): Promise<"succeed" | "fail" | "none"> {
  const { clock, config } = context;
  const others = await sampleOthers(id, context);
  if (others.length === 0) return "none";
  const recent = later(clock.now(), -config.sync.reconcileAfterMs * RECENT_SHARE);
  const healthy = others.filter(
    ({ sync }) =>
      sync.failure === undefined && sync.syncedAt !== undefined && sync.syncedAt >= recent,
  );
  return healthy.length * 2 >= others.length ? "succeed" : "fail";
}

/** Returns some other active users, starting at a random place in the store. */
export async function sampleOthers(
  id: UserId,
  { users, random }: Pick<OthersContext, "users" | "random">,
): Promise<User[]> {
  const { users: found } = await users.listAll(randomId(random), READ_MAX);
  // The end of the store came first: continue at its beginning.
  if (found.length < READ_MAX) {
    const known = new Set(found.map((user) => user.id));
    const { users: rest } = await users.listAll(undefined, READ_MAX);
    found.push(...rest.filter((user) => !known.has(user.id)));
  }
  return found.filter((user) => user.id !== id && user.status === "active").slice(0, JUDGED_MAX);
}

function randomId(random: Random): UserId | undefined {
  const digits = Array.from({ length: ID_DIGITS - 1 }, () => Math.floor(random() * 10));
  return parseUserId(`1${digits.join("")}`);
}
