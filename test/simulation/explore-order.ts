import type { Blow } from "./effects.ts";

/** What an instance does next, as far as others can notice it. */
export interface Footprint {
  /** Absent for what happens around the instances: it may decide about any of them. */
  instance?: string;
  isBlow: boolean;
  reach: Reach;
}

type Reach =
  | "nothing"
  | "reads_store"
  | "reads_google"
  | "changes_store"
  | "publishes"
  | "anything";

const REACH: readonly [label: RegExp, Reach][] = [
  [/^sleep /, "nothing"],
  [/^users\.(find|exists|list|count|read)/, "reads_store"],
  [/^(history\.list|messages\.(list|get)|users\.getProfile)$/, "reads_google"],
  [/^users\.update$/, "changes_store"],
  [/^publish /, "publishes"],
];

/** These two in either order come to the same. */
const COMMUTING: ReadonlySet<string> = new Set([
  "reads_store reads_store",
  "reads_store reads_google",
  "reads_store publishes",
  "reads_google reads_google",
  "reads_google changes_store",
  "reads_google publishes",
]);

export function footprintOf(instance: string, label: string, blow: Blow | undefined): Footprint {
  const isUnnoticed = blow === "dies_before" || blow === "is_refused";
  const reach = REACH.find(([pattern]) => pattern.test(label))?.[1] ?? "anything";
  return { instance, isBlow: blow !== undefined, reach: isUnnoticed ? "nothing" : reach };
}

/**
 * Whether two things that are both possible lead to the same state in either order, breaking the
 * same promises. A commit is judged by what is published, so these two do not commute; and of two
 * blows the second may be one too many.
 */
export function commute(a: Footprint, b: Footprint): boolean {
  if (a.instance === undefined || b.instance === undefined || a.instance === b.instance) {
    return false;
  }
  if (a.isBlow && b.isBlow) return false;
  if (a.reach === "nothing" || b.reach === "nothing") return true;
  return COMMUTING.has(`${a.reach} ${b.reach}`) || COMMUTING.has(`${b.reach} ${a.reach}`);
}
