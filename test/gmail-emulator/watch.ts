import { type Answer, noContent, ok } from "./answer.ts";
import {
  invalidArgument,
  otherPushClientActive,
  topicForbidden,
  topicNameMissing,
  topicNotFound,
  topicOfOtherProject,
} from "./errors.ts";
import type { Account, Google } from "./google.ts";
import { type HistoryItem, type HistoryRecord, seenHead } from "./mailbox.ts";
import { hasLabel } from "./messages.ts";
import { notify } from "./notifications.ts";

/** Gmail's promise to notify one topic until `expiration`. */
export interface Watch {
  readonly projectId: string;
  readonly topicName: string;
  readonly labelIds: readonly string[];
  readonly labelFilter: "include" | "exclude";
  expiration: number;
  /** Set by `users.stop`: the topic is free at once, but notifications may go on for a while. */
  stopped: boolean;
}

const WATCH_MS = 7 * 24 * 60 * 60_000;

/** Gmail `users.watch`: the same topic again renews, another one is refused while one is active. */
export function startWatch(
  google: Google,
  account: Account,
  projectId: string,
  body: unknown,
): Answer {
  const request = readRequest(body);
  if (request === undefined) return invalidArgument("Invalid watch request");
  const { topicName, labelIds, labelFilter } = request;
  if (topicName === "") return topicNameMissing();
  const [project, topicId] =
    /^projects\/([^/]+)\/topics\/([^/\s]+)$/.exec(topicName)?.slice(1) ?? [];
  if (project !== projectId || topicId === undefined) return topicOfOtherProject(projectId);

  const present = account.watches.get(projectId);
  if (present !== undefined && isActive(google, present) && present.topicName !== topicName) {
    return otherPushClientActive();
  }
  const unknown = labelIds.find((label) => !hasLabel(account.mailbox, label));
  if (unknown !== undefined && google.settings.unknownLabel === "refused") {
    return invalidArgument(`Invalid label: ${unknown}`);
  }
  const topic = google.topics.get(topicName);
  if (topic === undefined) return topicNotFound(topicName);
  if (!topic.publishable) return topicForbidden(topicName);

  const expiration = google.now() + WATCH_MS;
  const watch = { projectId, topicName, labelIds, labelFilter, expiration, stopped: false };
  account.watches.set(projectId, watch);
  const historyId = String(seenHead(google, account.mailbox));
  notify(google, account, topicName);
  return ok({ historyId, expiration: String(expiration) });
}

function readRequest(
  body: unknown,
): Pick<Watch, "topicName" | "labelIds" | "labelFilter"> | undefined {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  const request: Record<string, unknown> = { ...body };
  const topicName = request["topicName"] ?? "";
  const labelIds = request["labelIds"] ?? [];
  // The newer field wins over the deprecated one.
  const behavior = request["labelFilterBehavior"] ?? request["labelFilterAction"] ?? "include";
  const labelFilter = String(behavior).toLowerCase();
  if (typeof topicName !== "string") return undefined;
  if (!Array.isArray(labelIds) || !labelIds.every((id) => typeof id === "string")) return undefined;
  if (labelFilter !== "include" && labelFilter !== "exclude") return undefined;
  return { topicName, labelIds, labelFilter };
}

/** Gmail `users.stop`: no content, whether there was a watch or not. */
export function stopWatch(google: Google, account: Account, projectId: string): Answer {
  const watch = account.watches.get(projectId);
  if (watch !== undefined && isActive(google, watch)) {
    watch.stopped = true;
    watch.expiration = google.now() + google.settings.stopDelayMs;
  }
  return noContent();
}

export function isActive(google: Google, watch: Watch): boolean {
  return !watch.stopped && watch.expiration > google.now();
}

/** One notification for each watch that these records concern. */
export function notifyWatchers(
  google: Google,
  account: Account,
  records: readonly HistoryRecord[],
): void {
  if (account.standing !== "active" || account.mailService === "off") return;
  for (const watch of account.watches.values()) {
    if (watch.expiration <= google.now()) continue;
    const concerned = records.some(({ items, raw }) =>
      raw === undefined ? items.some((item) => concerns(watch, item)) : true,
    );
    if (concerned) notify(google, account, watch.topicName);
  }
}

function concerns({ labelIds, labelFilter }: Watch, item: HistoryItem): boolean {
  if (labelIds.length === 0) return true;
  const labels = [...item.message.labelIds, ...("labelIds" in item ? item.labelIds : [])];
  const named = labels.some((label) => labelIds.includes(label));
  return labelFilter === "include" ? named : !named;
}
