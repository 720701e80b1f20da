import type { Checks } from "./checks.ts";
import type { SimulatedGoogle } from "./google.ts";
import type { Person } from "./persons.ts";
import type { World } from "./world.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const LABELS = ["STARRED", "IMPORTANT", "Label_1", "Label_2"] as const;

/** What happens in one mailbox: bursts of mail, labels, trash and deletion, between two times. */
export function startMail(
  world: World,
  person: Person,
  { model }: SimulatedGoogle,
  checks: Checks,
  [from, upTo]: readonly [number, number],
): void {
  const random = world.random(`mail ${person.email}`);
  const { scheduler, parameters } = world;
  const { email, sub } = person;
  const ids: string[] = [];
  const drafts: string[] = [];

  for (let left = parameters.acts; left > 0;) {
    const size = Math.min(left, random.pick([1, 1, 2, 3, 8]));
    left -= size;
    let at = random.between(from, upTo);
    for (let index = 0; index < size; index++) {
      scheduler.quietly(Math.min(at, upTo), act);
      at += random.chance(0.7) ? random.between(0, 3 * SECOND) : random.between(0, 3 * MINUTE);
    }
  }

  function act(): void {
    const { lagMsMax } = parameters;
    const isLate = !world.isHealing && lagMsMax > 0 && random.chance(0.5);
    const ms = Math.floor(random.next() ** 2 * lagMsMax);
    model.setIndexLag(email, isLate ? { kind: "delayed", ms } : { kind: "none" });
    const { historyId } = happen();
    world.trace(() => `${sub.slice(-4)} record ${historyId}${isLate ? ` late by ${ms} ms` : ""}`);
    checks.touched(sub);
  }

  function happen(): { historyId: string } {
    const id = random.some(ids);
    const choice = random.next();
    if (id === undefined || choice < 0.5) return arrive();
    if (choice < 0.6) return model.addLabels(email, id, [random.pick(LABELS)]);
    if (choice < 0.7) return model.removeLabels(email, id, ["UNREAD", random.pick(LABELS)]);
    if (choice < 0.78) return model.trash(email, id);
    if (choice < 0.83) return model.archive(email, several());
    if (choice < 0.93) return forget(several());
    if (choice < 0.95) {
      return model.appendRawRecord(email, { messagesAdded: [{ message: { id: 7 } }] });
    }
    return saveDraft();
  }

  function arrive(): { historyId: string } {
    const made = random.chance(0.8) ? model.deliver(email) : model.send(email, {});
    ids.push(made.messageId);
    return made;
  }

  function several(): string[] {
    const wanted = random.int(1, 3);
    return [...new Set(Array.from({ length: wanted }, () => random.some(ids)))].filter(
      (id) => id !== undefined,
    );
  }

  function forget(gone: string[]): { historyId: string } {
    for (const id of gone) ids.splice(ids.indexOf(id), 1);
    return model.deleteMessage(email, gone);
  }

  function saveDraft(): { historyId: string } {
    const replaces = drafts.pop();
    const draft = model.saveDraft(email, replaces === undefined ? {} : { replaces });
    drafts.push(draft.messageId);
    return draft;
  }
}
