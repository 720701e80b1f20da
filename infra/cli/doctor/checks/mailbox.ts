import { setTimeout as pause } from "node:timers/promises";
import { parseEmailAddress } from "../../../../functions/src/domain/email-address.ts";
import type { Deployment } from "../deployment.ts";
import { readUsers } from "../documents.ts";
import { type Verdict, Unchecked, failed, passed } from "../verdict.ts";

/** A mailbox to watch until one of its changes arrives. */
export interface Watching {
  emailAddress: string;
  waitMs: number;
  /** Prints one line for the person who has to send a mail. */
  say(line: string): void;
}

const POLL_MS = 1_000;
/** An email address can change hands: its former owners stay stored, disconnected. */
const SAME_ADDRESS_MAX = 20;
const FIELDS = ["status", "statusReason", "sync.notifiedHistoryId", "sync.syncedAt"];

/**
 * Waits for a mail that a person sends to the mailbox, until the user document shows that Gmail's
 * notification of it was served. Sends, publishes and writes nothing, and decrypts no token.
 */
export function mailbox({
  emailAddress,
  waitMs,
  say,
}: Watching): (it: Deployment) => Promise<Verdict> {
  return async (it) => {
    const address = parseEmailAddress(emailAddress);
    if (address === undefined) throw new Unchecked(`${emailAddress} is no address`);
    const { publicUrl } = await it.config();
    const connect = `connect it at ${publicUrl}/start`;
    const before = await read(it, address);
    if (before === undefined) return failed(`${address} is not connected`, connect);
    const { status, statusReason } = before;
    if (status !== "active") return failed(`${address} is ${status} (${statusReason})`, connect);
    say(`Send a mail to ${address} now. Waiting for ${waitMs / 1_000} s at most.`);
    const start = Date.now();
    while (Date.now() - start < waitMs) {
      await pause(POLL_MS);
      const now = await read(it, address);
      if (now?.notified !== before.notified) {
        return passed(`a change of ${address} came through after ${seconds(Date.now() - start)} s`);
      }
    }
    const after = await read(it, address);
    const isSynced = after?.synced !== before.synced;
    return failed(
      `no notification of ${address} was served in ${seconds(waitMs)} s` +
        (isSynced ? ", though it was synced" : ""),
      "see gmail-publishes, notifications and functions/gmailNotification; then its log",
    );
  };
}

async function read(it: Deployment, address: string) {
  // Gmail can use another address for a mailbox than the one that the person signs in with.
  const found = await Promise.all(
    ["emailAddress", "notifiedAs"].map((field) =>
      readUsers(it, {
        where: { field, op: "EQUAL", value: address },
        fields: FIELDS,
        limit: SAME_ADDRESS_MAX,
      }),
    ),
  );
  const all = found.flat().map((field) => ({
    status: field("status"),
    statusReason: field("statusReason"),
    notified: field("sync.notifiedHistoryId"),
    synced: field("sync.syncedAt"),
  }));
  return all.find(({ status }) => status !== "disconnected") ?? all[0];
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(ms < 10_000 ? 1 : 0);
}
