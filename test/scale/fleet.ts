import type { EmailAddress } from "../../functions/src/domain/email-address.ts";
import type { UserContent, UserId } from "../../functions/src/domain/user.ts";
import type { TokenSeal } from "../../functions/src/crypto/token-seal.ts";
import { addressOf, userOf } from "../support/users.ts";
import { FIRST_HISTORY_ID, accessTokenOf, historyIdOf, refreshTokenOf } from "./google.ts";

/** A mailbox of the fleet, by its number. */
export type Mailbox = number;

/** What differs between the mailboxes of a fleet. */
export type Own = Partial<Pick<UserContent, "watch" | "sync">>;

const BATCH = 500;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Multiples of it, without their whole part, lie evenly in any interval. */
const GOLDEN = 0.618_033_988_749_895;

/** A number in [0, 1) for a mailbox and a purpose; those of all mailboxes lie evenly. */
export function evenly(mailbox: Mailbox, purpose: number): number {
  return ((mailbox + 1) * GOLDEN * (purpose + 1) + purpose / 7) % 1;
}

/** As long as Google's, and evenly spread, so that their order says nothing about the mailbox. */
export function userIdOf(mailbox: Mailbox): UserId {
  const spread = Math.floor(evenly(mailbox, 0) * 1e12);
  return `1${String(spread).padStart(12, "0")}${String(mailbox).padStart(8, "0")}` as UserId;
}

export function addressOfMailbox(mailbox: Mailbox): EmailAddress {
  return addressOf(`person${mailbox}@example.com`);
}

/** The mailbox of an address of the fleet. */
export function mailboxOfAddress(address: string): Mailbox {
  return Number(/^person(\d+)@/.exec(address)?.[1]);
}

/** Stores users who exist already, many at a time. */
export type StoreUsers = (users: ReadonlyMap<UserId, UserContent>) => Promise<unknown>;

/** Stores a fleet of mailboxes that were connected a month ago and are read up to the first id. */
export async function storeFleet(
  store: StoreUsers,
  users: number,
  now: Date,
  seal: TokenSeal,
  ownOf: (mailbox: Mailbox) => Own,
): Promise<void> {
  for (let first = 0; first < users; first += BATCH) {
    const some = new Map<UserId, UserContent>();
    for (let mailbox = first; mailbox < Math.min(users, first + BATCH); mailbox++) {
      some.set(userIdOf(mailbox), contentOf(mailbox, now, seal, ownOf(mailbox)));
    }
    await store(some);
  }
}

function contentOf(mailbox: Mailbox, now: Date, seal: TokenSeal, own: Own): UserContent {
  const id = userIdOf(mailbox);
  const connectedAt = new Date(now.getTime() - 30 * DAY_MS);
  const {
    id: _,
    revision: __,
    read: ___,
    ...content
  } = userOf({
    id,
    emailAddress: addressOfMailbox(mailbox),
    statusAt: connectedAt,
    connectedAt,
    grant: {
      generation: 1,
      scopes: ["openid", "email", "https://www.googleapis.com/auth/gmail.metadata"],
      refreshToken: seal.seal(id, "refresh_token", refreshTokenOf(mailbox)),
      // Of the last hour or not: most mailboxes have none that still lives.
      accessToken: seal.seal(id, "access_token", accessTokenOf(mailbox)),
      accessTokenExpiresAt: new Date(now.getTime() - HOUR_MS),
      grantedAt: connectedAt,
    },
    watch: { expiresAt: new Date(now.getTime() + 6 * DAY_MS), failures: 0 },
    followUp: { announced: { status: "active", generation: 1 }, failures: 0 },
    ...own,
  });
  return { ...content, historyId: historyIdOf(FIRST_HISTORY_ID) };
}
