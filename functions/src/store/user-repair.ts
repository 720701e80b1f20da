import { type DocumentData, Timestamp } from "@google-cloud/firestore";
import type { core } from "zod";

/** Due now: the meaning of an edited date is unknown, and no work may be due never. */
const NOW_DUE = new Timestamp(0, 0);

/** The replacement of a map or a member that is missing or of another type. */
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

/** Maps that contain the progress of work: without a member, the work is repeated and not lost. */
const WORK = new Set(["sync", "watch", "followUp"]);
/** Members of the grant that the next refresh restores. */
const MADE_AGAIN = new Set(["accessToken", "accessTokenExpiresAt"]);

/**
 * Returns a document that an operator edited or restored, with invalid parts replaced so that the
 * receiver repeats its work. `undefined` if that would mean guessing who the user is, what they
 * allowed, or where the stream is.
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
