import { parseEmailAddress } from "../../functions/src/mailbox/email-address.ts";
import { type User, type UserId, type UserStore, parseUserId } from "../../functions/src/user.ts";
import { CannotDo, WrongUsage } from "./terminal.ts";

/** Users read at a time: what a command holds in memory does not grow with the fleet. */
const PAGE = 300;

/** All users in the order of their ids, page by page: one read for each. */
export async function* pagesOfUsers(users: UserStore): AsyncGenerator<User[]> {
  for (let after: UserId | undefined; ;) {
    const page = await users.listAll(after, PAGE);
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.id;
  }
}

/**
 * The user of this id, or of this address, the disconnected ones too: what was begun with an address
 * has to be found again by it. Several of one address have to be told apart by their ids.
 */
export async function findUser(name: string, users: UserStore): Promise<User> {
  if (!name.includes("@")) {
    const id = parseUserId(name);
    if (id === undefined) throw new WrongUsage(`${name} is neither a user id nor an address`);
    const user = await users.find(id);
    if (user === undefined) throw new CannotDo(`there is no user ${id} that can be read`);
    return user;
  }
  const address = parseEmailAddress(name);
  if (address === undefined) throw new WrongUsage(`${name} is not an address`);
  const [user, ...others] = await users.listByEmailAddress(address);
  if (user === undefined) throw new CannotDo(`there is no user ${address} that can be read`);
  if (others.length === 0) return user;
  const ids = [user, ...others].map(({ id, status }) => `${id} (${status})`).join(", ");
  throw new CannotDo(`several users have or had the address ${address}; name one by id: ${ids}`);
}
