import { type EmailAddress, parseEmailAddress } from "../../functions/src/domain/email-address.ts";
import { parseHistoryId } from "../../functions/src/domain/history-id.ts";
import {
  type Revision,
  type User,
  type UserRecord,
  type UserContent,
  type UserId,
  type UserStore,
  parseUserId,
  toUser,
} from "../../functions/src/domain/user.ts";

/** A user as `authorize` would store one who has just connected, but for what is said. */
export function userOf(own: Partial<UserRecord> = {}): User {
  return toUser(recordOf(own));
}

function recordOf(own: Partial<UserRecord>): UserRecord {
  const at = new Date("2026-11-20T11:00:00.000Z");
  return {
    id: made(parseUserId("1000")),
    revision: "" as Revision,
    read: { at, localAt: at, receivedAt: at },
    emailAddress: addressOf("ada@example.com"),
    status: "active",
    statusReason: "authorized",
    statusAt: at,
    grant: { generation: 1, scopes: ["openid"], grantedAt: at },
    historyId: made(parseHistoryId("1000")),
    watch: { failures: 0 },
    sync: { retries: 0, recent: [] },
    followUp: { failures: 0 },
    ...own,
  };
}

export function addressOf(text: string): EmailAddress {
  return made(parseEmailAddress(text));
}

/** Stores a user under an id, whatever was stored there. */
export async function putUser(
  users: UserStore,
  id: string,
  own: Partial<UserContent>,
): Promise<UserId> {
  const userId = made(parseUserId(id));
  const { id: _, revision: __, read: ___, ...content } = recordOf(own);
  await users.authorize(userId, () => content);
  return userId;
}

function made<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a value of the test is not one");
  return value;
}
