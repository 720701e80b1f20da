import { setTimeout as pause } from "node:timers/promises";
import { parseEmailAddress } from "../../../../functions/src/domain/email-address.ts";
import type { Deployment } from "../deployment.ts";
import { readUsers } from "../documents.ts";
import { type Result, Unchecked, failed, ok } from "../result.ts";

/** A mailbox to watch until a change of it comes through. */
export interface Watching {
  emailAddress: string;
  waitMs: number;
  /** One line for the person who is to send a mail. */
  say(line: string): void;
}

const POLL_MS = 1_000;
/** An address changes hands: its former owners are kept, disconnected. */
const SAME_ADDRESS_MAX = 20;
const FIELDS = ["status", "statusReason", "sync.notifiedHistoryId", "sync.syncedAt"];

/**
 * From a person's hand to the stored user: somebody sends a mail to the mailbox, and the user document
 * tells when Gmail's notification of it was served. Nothing is sent, published or written from here,
 * and no token is opened.
 */
export function mailbox({
  emailAddress,
  waitMs,
  say,
}: Watching): (it: Deployment) => Promise<Result> {
  return async (it) => {
    const address = parseEmailAddress(emailAddress);
    if (address === undefined) throw new Unchecked(`${emailAddress} is no address`);
    const { publicUrl } = await it.config();
    const connect = `connect it at ${publicUrl}/start`;
    const before = await read(it, address);
    if (before === undefined) return failed(`nobody has connected ${address}`, connect);
    const { status, statusReason } = before;
    if (status !== "active") return failed(`${address} is ${status} (${statusReason})`, connect);
    say(`Send a mail to ${address} now. Waiting for ${waitMs / 1_000} s at most.`);
    const start = Date.now();
    while (Date.now() - start < waitMs) {
      await pause(POLL_MS);
      const now = await read(it, address);
      if (now?.notified !== before.notified) {
        return ok(`a change of ${address} came through after ${seconds(Date.now() - start)} s`);
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
  // Gmail can know a mailbox under another address than the person signs in with.
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
