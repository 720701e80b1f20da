import { parseEmailAddress } from "../../../functions/src/domain/email-address.ts";
import { type User, type UserStore, parseUserId } from "../../../functions/src/domain/user.ts";
import { CommandError, usageError } from "../errors.ts";

/**
 * Returns the user with this id or address. Disconnected users are found, too, so that an operator
 * finds by its address what was started with that address. Throws when several users have had the
 * address, and names their ids.
 */
export async function findUser(name: string, users: UserStore): Promise<User> {
  if (!name.includes("@")) {
    const id = parseUserId(name);
    if (id === undefined) throw usageError(`${name} is neither a user id nor an address`);
    const user = await users.find(id);
    if (user === undefined) throw new CommandError(`there is no user ${id} that can be read`);
    return user;
  }
  const address = parseEmailAddress(name);
  if (address === undefined) throw usageError(`${name} is not an address`);
  const [user, ...others] = await users.listByEmailAddress(address);
  if (user === undefined) throw new CommandError(`there is no user ${address} that can be read`);
  if (others.length === 0) return user;
  const ids = [user, ...others].map(({ id, status }) => `${id} (${status})`).join(", ");
  throw new CommandError(
    `several users have or had the address ${address}; name one by id: ${ids}`,
  );
}
