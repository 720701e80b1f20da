import { OVERDUE_MS } from "../../overdue.ts";
import { defaultConfig } from "../../stand-ins.ts";
import type { Deployment } from "../deployment.ts";
import { countUsers, readUsers } from "../documents.ts";
import { type Problem, type Verdict, Unchecked, gcloud, passed } from "../verdict.ts";

const MINUTE_MS = 60_000;
const WHAT = {
  "sync.dueAt": "mailboxes wait to be synced",
  "watch.renewAt": "watches wait to be renewed",
  "followUp.dueAt": "users wait for what they are owed",
};
const LAPSED_READ_MAX = 100;

/**
 * Checks that no user waits for long, no mailbox is incomplete for long, and no watch has expired.
 */
export async function users(it: Deployment): Promise<Verdict> {
  const now = Date.now();
  const log = it.kind === "local" ? "see the log of npm run emulators" : readLog(it.projectId);
  const lists = Object.keys(OVERDUE_MS) as (keyof typeof OVERDUE_MS)[];
  const counts = await Promise.all(
    lists.map(async (field) => {
      const value = new Date(now - OVERDUE_MS[field]);
      return {
        field,
        count: await countUsers(it, { field, op: "LESS_THAN", value }),
      };
    }),
  );
  const problems: Problem[] = counts
    .filter(({ count }) => count > 0)
    .map(({ field, count }) => {
      return {
        what: `${count} ${WHAT[field]} for ${OVERDUE_MS[field] / MINUTE_MS} minutes and more`,
        fix: log,
      };
    });
  const delayedAfterMs = await readDelayedAfterMs(it);
  const since = new Date(now - delayedAfterMs);
  const behind = await countUsers(it, {
    field: "sync.behindSince",
    op: "LESS_THAN",
    value: since,
  });
  if (behind > 0) {
    const what = `${behind} mailboxes have been incomplete for ${delayedAfterMs / MINUTE_MS} minutes and more`;
    problems.push({ what, fix: "npm run -s mailboxes -- list --behind" });
  }
  // A user whose watch has expired has been overdue for long; only the due time is indexed.
  const overdue = await readUsers(it, {
    where: { field: "watch.renewAt", op: "LESS_THAN", value: new Date(now) },
    fields: ["watch.expiresAt"],
    limit: LAPSED_READ_MAX,
  });
  const lapsed = overdue.filter((read) => Date.parse(read("watch.expiresAt") ?? "") < now).length;
  if (lapsed > 0) {
    const what = `${lapsed}${overdue.length === LAPSED_READ_MAX ? " or more" : ""} watches have ended`;
    return { kind: "failed", problems: [{ what, fix: log }, ...problems] };
  }
  return problems.length > 0 ? { kind: "warning", problems } : passed("no user is overdue");
}

/** After how many milliseconds the receiver itself reports an incomplete mailbox. */
async function readDelayedAfterMs(it: Deployment): Promise<number> {
  try {
    return (await it.config()).sync.delayedAfterMs;
  } catch (error) {
    if (!(error instanceof Unchecked)) throw error;
    return defaultConfig().sync.delayedAfterMs;
  }
}

function readLog(projectId: string): string {
  const filter = 'resource.type="cloud_run_revision" AND severity>=WARNING';
  return gcloud(projectId, "logging", "read", filter, "--freshness=1h", "--limit=50");
}
