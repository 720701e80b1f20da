import { type DocumentData, Timestamp } from "@google-cloud/firestore";
import type { core } from "zod";

/** Due now: what an edited date was meant to be is not known, and nothing may be due never. */
const NOW_DUE = new Timestamp(0, 0);

/** What stands in for a map or a member that is missing or of another type. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  sync: { retries: 0, recent: [], dueAt: NOW_DUE, dueReason: "unfinished" },
  "sync.retries": 0,
  "sync.recent": [],
  "sync.dueAt": NOW_DUE,
  "sync.dueReason": "unfinished",
  watch: { failures: 0, renewAt: NOW_DUE },
  "watch.failures": 0,
  "watch.renewAt": NOW_DUE,
  followUp: { failures: 0 },
  "followUp.failures": 0,
  "followUp.dueAt": NOW_DUE,
};

/** Maps that hold how far the work is: without a member of them it is done again, and not lost. */
const WORK = new Set(["sync", "watch", "followUp"]);
/** Members of the grant that are made again by themselves. */
const MADE_AGAIN = new Set(["accessToken", "accessTokenExpiresAt"]);

/**
 * A document as an operator edited or restored it, with what does not have our shape replaced by what
 * makes the receiver do its work again. `undefined` when that would guess at who the user is, what
 * they allowed, or where the stream stands.
 */
export function repairDocument(
  document: DocumentData,
  issues: readonly Pick<core.$ZodIssue, "path">[],
): DocumentData | undefined {
  const repaired: DocumentData = { ...document };
  const positions = new Set<PropertyKey>();
  for (const { path } of issues) {
    const [map, member, index] = path;
    if (typeof map !== "string") return undefined;
    const isMap = typeof repaired[map] === "object" && repaired[map] !== null;
    if (WORK.has(map) && (!isMap || member === undefined)) {
      repaired[map] = DEFAULTS[map];
      continue;
    }
    const name = String(member);
    if (!WORK.has(map) && !(map === "grant" && MADE_AGAIN.has(name))) return undefined;
    if (name === "recent" && index !== undefined) positions.add(index);
    else repaired[map] = withDefault(repaired[map] as DocumentData, map, name);
  }
  if (positions.size === 0) return repaired;
  const sync = repaired["sync"] as { recent: unknown };
  const recent = Array.isArray(sync.recent)
    ? sync.recent.filter((_, index) => !positions.has(index))
    : [];
  return { ...repaired, sync: { ...sync, recent } };
}

function withDefault(map: DocumentData, name: string, member: string): DocumentData {
  const { [member]: _, ...rest } = map;
  const value = DEFAULTS[`${name}.${member}`];
  return value === undefined ? rest : { ...rest, [member]: value };
}
