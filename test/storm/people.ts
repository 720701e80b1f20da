import type { GmailEmulator } from "../gmail-emulator/emulator.ts";
import type { Stream } from "../simulation/random.ts";

/** Below `HISTORY_SETTLE_MS`: what shows later than that after its successors is Gmail's loss. */
const INDEX_LAG_MS_MAX = 1_200;

const BURST_MAX = 6;
const LATE_SHARE = 0.12;
/** Beyond this a message is done with: nothing happens to old mail. */
const MESSAGES_MAX = 200;
const LABELS = ["STARRED", "IMPORTANT", "Label_1", "Label_2"] as const;

/** Everybody at Gmail, and Gmail's own moods. */
export interface People {
  /** One thing happens to one person. */
  act(): void;
  /** Gmail has nothing left to withhold: what was held back goes out, in some order. */
  calm(): void;
}

export function createPeople(
  emulator: GmailEmulator,
  addresses: readonly [string, ...string[]],
  random: Stream,
): People {
  const mail = new Map(addresses.map((address) => [address, [] as string[]]));
  let isHeld = false;

  function deliver(address: string, messages: string[]): void {
    for (let left = random.int(1, BURST_MAX); left > 0; left -= 1) {
      // Now and then a record shows only after its successors.
      const ms = random.chance(LATE_SHARE) ? random.int(100, INDEX_LAG_MS_MAX) : 0;
      emulator.setIndexLag(address, ms > 0 ? { kind: "delayed", ms } : { kind: "none" });
      messages.push(emulator.deliver(address, { subject: "storm" }).messageId);
    }
    emulator.setIndexLag(address, { kind: "none" });
    messages.splice(0, messages.length - MESSAGES_MAX);
  }

  function touch(address: string, messages: string[]): void {
    const chosen = messages.filter(() => random.chance(3 / messages.length));
    const label = random.pick(LABELS);
    if (chosen.length === 0) return;
    const kind = random.pick(["add", "remove", "read", "archive", "trash", "delete"]);
    if (kind === "add") emulator.addLabels(address, chosen, [label]);
    if (kind === "remove") emulator.removeLabels(address, chosen, [label]);
    if (kind === "read") emulator.markRead(address, chosen);
    if (kind === "archive") emulator.archive(address, chosen);
    if (kind === "trash") emulator.trash(address, chosen);
    if (kind !== "delete") return;
    emulator.deleteMessage(address, chosen);
    for (const id of chosen) messages.splice(messages.indexOf(id), 1);
  }

  function changeMood(address: string): void {
    const kind = random.pick(["duplicate", "repeat", "order", "order", "lose", "token", "number"]);
    if (kind === "duplicate") emulator.duplicateNotifications(random.int(1, 5), random.int(1, 2));
    if (kind === "repeat") emulator.redeliverNext(random.int(1, 5));
    if (kind === "order") {
      if (isHeld) emulator.releaseNotifications(random.pick(["shuffled", "reversed"]));
      else emulator.holdNotifications();
      isHeld = !isHeld;
    }
    if (kind === "lose") emulator.loseNotifications(random.int(1, 3));
    if (kind === "token") {
      emulator.settings.refreshTokenRotations = random.int(0, 1);
      emulator.expireAccessTokens(address);
    }
    if (kind === "number")
      emulator.settings.notificationHistoryId = random.pick(["number", "string"]);
  }

  return {
    act() {
      const address = random.pick(addresses);
      const messages = mail.get(address) ?? [];
      if (random.chance(0.2)) changeMood(address);
      else if (random.chance(0.4)) deliver(address, messages);
      else touch(address, messages);
    },
    calm() {
      emulator.loseNotifications(0);
      emulator.releaseNotifications("shuffled");
    },
  };
}
