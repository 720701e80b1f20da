import type { Ports } from "../../functions/src/context.ts";
import { type Call, FailedCall, type Failure } from "../../functions/src/domain/failure.ts";
import { type HistoryId, parseHistoryId } from "../../functions/src/domain/history-id.ts";
import { GMAIL_UNITS } from "../../functions/src/google/quota.ts";
import { type Mailbox, addressOfMailbox } from "./fleet.ts";
import type { SimulatedTime } from "./time.ts";

/** Google's token endpoint and Gmail for a fleet, with the quota of the project. */
export interface FleetGoogle {
  ports: Pick<Ports, "gmail" | "oauth">;
  /** Calls that were answered or refused, by method. */
  calls: Map<Call, number>;
  /** Units that were taken, by minute. */
  units: Map<number, number>;
  /** Watches that were created, by minute. */
  watches: Map<number, number>;
  /** The mailboxes that were watched. */
  watched: Set<Mailbox>;
  /** Calls beyond the quota. */
  refused: number;
  /** How long Gmail needs for a mailbox beyond the usual, in milliseconds. */
  slownessMs(mailbox: Mailbox): number;
  /** The mailboxes whose refresh tokens have ended. */
  revoked: Set<Mailbox>;
  /** One more message arrives; returns its history id. */
  deliver(mailbox: Mailbox): HistoryId;
}

/** One call of Google, in each direction of the network. */
export const GOOGLE_MS = 150;
/** The quota of a project, in units. */
export const UNITS_PER_MINUTE = 1_200_000;
/** The history of every mailbox begins here. */
export const FIRST_HISTORY_ID = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const WATCH_MS = 7 * 24 * HOUR_MS;

/** `unread`: messages that arrived in each mailbox before the run, after the stored cursor. */
export function fleetGoogle(time: SimulatedTime, unread: number): FleetGoogle {
  const heads = new Map<Mailbox, number>();

  const google: FleetGoogle = {
    calls: new Map(),
    units: new Map(),
    watches: new Map(),
    watched: new Set(),
    refused: 0,
    slownessMs: () => 0,
    revoked: new Set(),
    deliver(mailbox) {
      heads.set(mailbox, headOf(mailbox) + 1);
      return historyIdOf(headOf(mailbox));
    },
    ports: {
      gmail: {
        listHistory: (accessToken, after) =>
          gmail("history.list", accessToken, (mailbox) => {
            const head = headOf(mailbox);
            const first = Number(after) + 1;
            const ids = Array.from(
              { length: Math.max(0, head - first + 1) },
              (_, at) => first + at,
            );
            return { records: ids.map((id) => recordOf(mailbox, id)), head: historyIdOf(head) };
          }),
        getProfile: (accessToken) =>
          gmail("users.getProfile", accessToken, (mailbox) => ({
            emailAddress: addressOfMailbox(mailbox),
            historyId: historyIdOf(headOf(mailbox)),
          })),
        watch: (accessToken) =>
          gmail("users.watch", accessToken, (mailbox) => {
            add(google.watches, minute(), 1);
            google.watched.add(mailbox);
            const expiresAt = new Date(time.now().getTime() + WATCH_MS);
            return { historyId: historyIdOf(headOf(mailbox)), expiresAt };
          }),
        listMessages: unexpected,
        getInternalDate: unexpected,
        getLabelIds: unexpected,
        getDetail: unexpected,
        stop: unexpected,
      },
      oauth: {
        async refresh(refreshToken) {
          await answered("token.refresh");
          const mailbox = mailboxOf(refreshToken);
          if (google.revoked.has(mailbox)) {
            throw new FailedCall("token.refresh", { kind: "reauthorize", reason: "invalid_grant" });
          }
          const expiresAt = new Date(time.now().getTime() + HOUR_MS);
          return { accessToken: accessTokenOf(mailbox), expiresAt, scopes: [] };
        },
        async exchangeCode() {
          await answered("token.code");
          throw new FailedCall("token.code", { kind: "bad_request", reason: "invalid_grant" });
        },
        revoke: unexpected,
      },
    },
  };
  return google;

  function headOf(mailbox: Mailbox): number {
    return heads.get(mailbox) ?? FIRST_HISTORY_ID + unread;
  }

  function minute(): number {
    return Math.floor(time.now().getTime() / MINUTE_MS);
  }

  async function answered(call: Call): Promise<void> {
    add(google.calls, call, 1);
    await time.sleep(GOOGLE_MS);
  }

  async function gmail<T>(
    call: keyof typeof GMAIL_UNITS,
    accessToken: string,
    answer: (mailbox: Mailbox) => T,
  ): Promise<T> {
    await answered(call);
    const taken = google.units.get(minute()) ?? 0;
    if (taken + GMAIL_UNITS[call] > UNITS_PER_MINUTE) {
      google.refused += 1;
      throw refusal(call, { kind: "rate_limited", reason: "rateLimitExceeded", daily: false });
    }
    add(google.units, minute(), GMAIL_UNITS[call]);
    const mailbox = mailboxOf(accessToken);
    const slownessMs = google.slownessMs(mailbox);
    if (slownessMs > 0) await time.sleep(slownessMs);
    if (google.revoked.has(mailbox)) {
      throw refusal(call, { kind: "unauthenticated", reason: "authError" });
    }
    return answer(mailbox);
  }
}

export const accessTokenOf = (mailbox: Mailbox) => `access-${mailbox}`;
export const refreshTokenOf = (mailbox: Mailbox) => `refresh-${mailbox}`;

function mailboxOf(token: string): Mailbox {
  return Number(token.split("-")[1]);
}

function recordOf(mailbox: Mailbox, id: number) {
  const message = { id: `${mailbox}m${id}`, labelIds: ["UNREAD", "INBOX"] };
  const items = [{ kind: "added" as const, message }];
  return { historyId: historyIdOf(id), items, unreadable: false };
}

/** The history id with this number. */
export function historyIdOf(id: number): HistoryId {
  const parsed = parseHistoryId(String(id));
  if (parsed === undefined) throw new Error(`not a history id: ${id}`);
  return parsed;
}

function refusal(call: Call, failure: Failure): FailedCall {
  return new FailedCall(call, failure);
}

function unexpected(): Promise<never> {
  return Promise.reject(new Error("nothing here makes this call"));
}

/** Adds to the number that is counted under a key. */
export function add<Key>(counts: Map<Key, number>, key: Key, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
