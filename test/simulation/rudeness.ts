import type { Family } from "./parameters.ts";
import type { Stream } from "./random.ts";

/**
 * Ways in which the world is not polite: each is on or off in a run, as its seed decides. How they
 * strike is drawn where they strike.
 */
export const RUDE = [
  // Google.
  "records late by minutes",
  "rewinds of every size",
  "bursts",
  "unsorted lists",
  "lost histories",
  "refused mailboxes",
  "unknown token codes",
  "bursts of 401",
  "invalid account states",
  "stray answers",
  "replicas behind",
  "missing fields",
  "page tokens that expire",
  "old imports",
  // People.
  "sent drafts",
  "renames",
  "second spellings",
  "moved addresses",
  // The operator and what runs us.
  "watched labels",
  "firestore sink",
  "published drafts",
  "short runs",
  "five services",
  "wrong clocks",
  "unreadable documents",
  "turns that throw",
  "edited documents",
  "restored documents",
  "forgotten users",
  "many days",
  "paused mailboxes",
  "imported grants",
  "snapshots",
  "detailed changes",
  "refused snapshots",
] as const;

export type Rude = (typeof RUDE)[number];

export type Rudeness = ReadonlySet<Rude>;

export const POLITE: Rudeness = new Set();

/** Of a run of the family `reconciled`. What makes a run long is rare. */
const CHANCE: Record<Rude, number> = {
  "records late by minutes": 0.15,
  "rewinds of every size": 0.1,
  bursts: 0.06,
  "unsorted lists": 0.25,
  "lost histories": 0.1,
  "refused mailboxes": 0.12,
  "unknown token codes": 0.1,
  "bursts of 401": 0.1,
  "invalid account states": 0.1,
  "stray answers": 0.15,
  "replicas behind": 0.15,
  "missing fields": 0.2,
  "page tokens that expire": 0.15,
  "old imports": 0.2,
  "sent drafts": 0.3,
  renames: 0.1,
  "second spellings": 0.1,
  "moved addresses": 0.06,
  "watched labels": 0.1,
  "firestore sink": 0.15,
  "published drafts": 0.1,
  "short runs": 0.1,
  "five services": 0.3,
  "wrong clocks": 0.15,
  "unreadable documents": 0.08,
  "turns that throw": 0.06,
  "edited documents": 0.08,
  "restored documents": 0.06,
  "forgotten users": 0.08,
  "many days": 0.01,
  "paused mailboxes": 0.2,
  "imported grants": 0.1,
  snapshots: 0.25,
  "detailed changes": 0.12,
  "refused snapshots": 0.006,
};

/** How rude the world is in a run: only where everything may go wrong. */
export function deriveRudeness(family: Family, random: Stream): Rudeness {
  if (family !== "reconciled") return POLITE;
  return new Set(RUDE.filter((rude) => random.next() < CHANCE[rude]));
}
