import type { Person } from "./persons.ts";
import type { People } from "./rude-incidents.ts";
import type { World } from "./world.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A record that shows so late is told of by its notification, or by nothing. */
const LATE_MS_MAX = 10 * MINUTE;
/** How far Gmail's list of messages was seen to be out of order. */
const DISORDER_MS_MAX = 7.4 * HOUR;
/** How far back a snapshot of a new mailbox goes. */
export const SNAPSHOT_MS = 30 * DAY;
/** What one act writes at most. */
const ACT_RECORDS = 3;
const LABELS = ["STARRED", "IMPORTANT", "Label_1", "Label_2"] as const;

/** What happens in one mailbox: bursts of mail, labels, trash and deletion, between two times. */
export function startMail(
  world: World,
  person: Person,
  { google: { model }, checks, rewinds }: Pick<People, "google" | "checks" | "rewinds">,
  [from, upTo]: readonly [number, number],
): void {
  const random = world.random(`mail ${person.email}`);
  const { scheduler, parameters } = world;
  const { sub } = person;
  /** What only a rude world draws: the others stay as they are. */
  const rudely = world.random(`rude mail ${person.email}`);
  const { rude } = parameters;
  const ids: string[] = [];
  const drafts: string[] = [];
  let hasImportedPage = false;

  for (let left = parameters.acts; left > 0;) {
    const size = Math.min(left, random.pick([1, 1, 2, 3, 8]));
    left -= size;
    let at = random.between(from, upTo);
    for (let index = 0; index < size; index++) {
      scheduler.quietly(Math.min(at, upTo), act);
      at += random.chance(0.7) ? random.between(0, 3 * SECOND) : random.between(0, 3 * MINUTE);
    }
  }

  if (rude.has("bursts")) {
    for (let bursts = rudely.int(1, 3); bursts > 0; bursts--) {
      // Thousands take seconds of our own time, so they are rare.
      const size = rudely.chance(0.02) ? rudely.int(1_000, 3_000) : rudely.int(20, 250);
      scheduler.quietly(rudely.between(from, upTo), () => burst(size));
    }
  }

  if (rude.has("snapshots")) {
    const earlier = world.random(`earlier ${sub}`);
    const days = Array.from({ length: earlier.int(0, 40) }, () => earlier.between(0, 60));
    for (const ago of days.toSorted((a, b) => b - a)) {
      const internalDate = Math.round(scheduler.now() - ago * DAY);
      const labelIds = earlier.chance(0.1) ? ["DRAFT"] : earlier.chance(0.8) ? ["INBOX"] : ["SENT"];
      const { messageId } = model.deliver(sub, { internalDate, labelIds });
      if (!labelIds.includes("DRAFT")) ids.push(messageId);
    }
    if (earlier.chance(rude.has("unsorted lists") ? 0.3 : 0.03)) {
      world.count("hundreds of messages about as old as a snapshot goes");
      const hours = Array.from({ length: earlier.int(210, 450) }, () => earlier.between(-7, 7));
      for (const ago of hours.toSorted((a, b) => b - a)) {
        const internalDate = Math.round(scheduler.now() - SNAPSHOT_MS - ago * HOUR);
        const isPlaced = rude.has("unsorted lists") && earlier.chance(0.5);
        const listedAt = Math.round(internalDate + earlier.between(-1, 1) * DISORDER_MS_MAX);
        keep(model.deliver(sub, { internalDate, ...(isPlaced && { listedAt }) }));
      }
    }
    checks.touched(sub);
  }

  function act(): void {
    if (!rewinds.mayChange(sub, ACT_RECORDS)) return;
    const ms = lagMs();
    model.setIndexLag(sub, ms === undefined ? { kind: "none" } : { kind: "delayed", ms });
    const isOmitting = rude.has("missing fields") && rudely.chance(0.2);
    if (isOmitting) {
      world.count("history left fields out");
      model.omitFromHistory(sub, ["threadId"]);
    }
    const { historyId } = (rude.size > 0 ? happenRudely() : undefined) ?? happen();
    if (isOmitting) model.omitFromHistory(sub, []);
    const late = ms === undefined ? "" : ` late by ${ms} ms`;
    world.trace(() => `${sub.slice(-4)} record ${historyId}${late}`);
    checks.touched(sub);
  }

  function lagMs(): number | undefined {
    const { lagMsMax } = parameters;
    const isLate = !world.isHealing && lagMsMax > 0 && random.chance(0.5);
    const ms = Math.floor(random.next() ** 2 * lagMsMax);
    if (!world.isHealing && rude.has("records late by minutes") && rudely.chance(0.15)) {
      world.count("record late by minutes");
      return Math.floor(rudely.between(MINUTE, LATE_MS_MAX));
    }
    return isLate ? ms : undefined;
  }

  /** So many mails in some seconds, a few of which show late. */
  function burst(size: number): void {
    world.count("burst of records");
    world.trace(() => `${sub.slice(-4)} burst of ${size}`);
    const { settleMs } = parameters;
    const start = scheduler.now();
    const step = Math.min(500, size);
    for (let done = 0; done < size; done += step) {
      scheduler.quietly(start + done, () => {
        if (!rewinds.mayChange(sub, step)) return;
        for (let index = done; index < Math.min(size, done + step); index++) {
          const isLate = !world.isHealing && rudely.chance(0.05);
          const ms = rudely.int(1, Math.min(15 * SECOND, settleMs / 2));
          model.setIndexLag(sub, isLate ? { kind: "delayed", ms } : { kind: "none" });
          ids.push(model.deliver(sub).messageId);
        }
        model.setIndexLag(sub, { kind: "none" });
        checks.touched(sub);
      });
    }
  }

  /** Something that happens only where the world is rude; `undefined` most times. */
  function happenRudely(): { historyId: string } | undefined {
    const now = scheduler.now();
    if (rude.has("sent drafts") && drafts.length > 0 && rudely.chance(0.3)) {
      world.count("draft sent");
      const id = drafts.pop() ?? "";
      ids.push(id);
      return model.sendDraft(sub, id);
    }
    if (rude.has("sent drafts") && rudely.chance(0.1)) return saveDraft();
    if (rude.has("old imports") && rudely.chance(0.1)) {
      world.count("mail imported with an old date");
      const internalDate = Math.round(now - rudely.between(2, 6_000) * DAY);
      return importOld(internalDate, place(internalDate));
    }
    if (rude.has("unsorted lists") && rudely.chance(0.4)) {
      return keep(model.deliver(sub, place(now)));
    }
    return undefined;
  }

  /** One message, or once a page of them. Two would be more than a recovery looks behind. */
  function importOld(internalDate: number, { listedAt }: { listedAt?: number }) {
    const isPage = !hasImportedPage && listedAt !== undefined && rudely.chance(0.3);
    hasImportedPage ||= isPage;
    for (let left = isPage ? rudely.int(7, 10) : 0; left > 0; left--) {
      const earlier = { internalDate: internalDate - left * SECOND };
      keep(model.deliver(sub, { ...earlier, listedAt: (listedAt ?? 0) - left * SECOND }));
    }
    return keep(model.deliver(sub, { internalDate, ...(listedAt !== undefined && { listedAt }) }));
  }

  /** Where a message stands in Gmail's list: not always where its date would put it. */
  function place(internalDate: number): { listedAt?: number } {
    if (!rude.has("unsorted lists") || rudely.chance(0.5)) return {};
    world.count("message listed out of order");
    const now = scheduler.now();
    const near = rudely.chance(0.3) ? now : internalDate;
    return { listedAt: Math.round(near + rudely.between(-DISORDER_MS_MAX, DISORDER_MS_MAX)) };
  }

  function keep<T extends { messageId: string }>(made: T): T {
    ids.push(made.messageId);
    return made;
  }

  function happen(): { historyId: string } {
    const id = random.some(ids);
    const choice = random.next();
    if (id === undefined || choice < 0.5) return arrive();
    if (choice < 0.6) return model.addLabels(sub, id, [random.pick(LABELS)]);
    if (choice < 0.7) return model.removeLabels(sub, id, ["UNREAD", random.pick(LABELS)]);
    if (choice < 0.78) return model.trash(sub, id);
    if (choice < 0.83) return model.archive(sub, several());
    if (choice < 0.93) return forget(several());
    if (choice < 0.93 + parameters.unreadable) {
      return model.appendRawRecord(sub, { messagesAdded: [{ message: { id: 7 } }] });
    }
    return saveDraft();
  }

  function arrive(): { historyId: string } {
    return keep(random.chance(0.8) ? model.deliver(sub) : model.send(sub, {}));
  }

  function several(): string[] {
    const wanted = random.int(1, 3);
    return [...new Set(Array.from({ length: wanted }, () => random.some(ids)))].filter(
      (id) => id !== undefined,
    );
  }

  function forget(gone: string[]): { historyId: string } {
    for (const id of gone) ids.splice(ids.indexOf(id), 1);
    return model.deleteMessage(sub, gone);
  }

  function saveDraft(): { historyId: string } {
    const replaces = drafts.pop();
    const draft = model.saveDraft(sub, replaces === undefined ? {} : { replaces });
    drafts.push(draft.messageId);
    return draft;
  }
}
