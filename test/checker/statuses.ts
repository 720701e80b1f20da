import type { Court, StoredUser, Written } from "./evidence.ts";

/** Looks at every status that is stored, and says which event has to tell it: P7, P8. */
export interface StatusChecks {
  onWritten(written: Written): void;
  /** The id of the event that has to tell the stored status. */
  announcementOf(sub: string): string | undefined;
  /** Whether a status was ever stored that has to be told under this id. */
  isAnnouncement(eventId: string): boolean;
}

const KIND_OF_STATUS: Readonly<Record<string, string>> = {
  active: "connected",
  reauthorization_required: "reauthorization_required",
  mailbox_unavailable: "unavailable",
  paused: "paused",
  disconnected: "disconnected",
};

/** What can happen once under one grant has one id. */
const REPEATABLE: ReadonlySet<string> = new Set(["active", "mailbox_unavailable", "paused"]);

/** Returns the id of the event that tells this status. */
export function statusEventId(
  { id, status, grant }: Pick<StoredUser, "id" | "status" | "grant">,
  episode: number | undefined,
): string {
  const isNumbered = episode !== undefined && REPEATABLE.has(status);
  const suffix = isNumbered ? `/${episode}` : "";
  return `${id}/${KIND_OF_STATUS[status] ?? status}/${grant.generation}${suffix}`;
}

export function createStatusChecks({ violate }: Pick<Court, "violate">): StatusChecks {
  /** By user: which event tells the stored status. */
  const announcements = new Map<string, string>();
  const everAnnouncements = new Set<string>();
  /** How often a mailbox has come back under one grant. */
  const returns = new Map<string, number>();
  /** By user: the highest generation ever stored. */
  const generations = new Map<string, number>();

  return {
    announcementOf: (sub) => announcements.get(sub),
    isAnnouncement: (eventId) => everAnnouncements.has(eventId),

    onWritten(written) {
      checkDocument(written.after);
      checkGeneration(written);
      checkEdge(written);
      noteAnnouncement(written);
    },
  };

  function noteAnnouncement({ before, after }: Written): void {
    const { id, status, grant } = after;
    const key = `${id}/${grant.generation}`;
    const isGrantKept = before?.grant.generation === grant.generation;
    const wasHeld = before?.status === "mailbox_unavailable" || before?.status === "paused";
    if (isGrantKept && wasHeld && status === "active") {
      returns.set(key, (returns.get(key) ?? 0) + 1);
    }
    const times = returns.get(key) ?? 0;
    const eventId = statusEventId(after, times > 0 ? times + 1 : undefined);
    announcements.set(id, eventId);
    everAnnouncements.add(eventId);
  }

  function checkDocument({ id, status, grant, watch, sync }: StoredUser): void {
    if (status !== "active" && (watch.renewAt !== undefined || sync.dueAt !== undefined)) {
      violate("P7", `${id} is ${status} and due`);
    }
    if (status === "reauthorization_required" && (grant.refreshToken ?? grant.accessToken)) {
      violate("P7", `${id} is ${status} and holds tokens`);
    }
  }

  function checkGeneration({ before, after: { id, grant }, kind }: Written): void {
    const highest = generations.get(id) ?? 0;
    generations.set(id, Math.max(highest, grant.generation));
    const step = grant.generation - (before?.grant.generation ?? highest);
    if (before === undefined && step <= 0) violate("P8", `${id} repeats a generation`);
    if (before === undefined || step === 0) return;
    // Where writes were not seen one by one, several people's visits may lie in between.
    const isNext = kind === undefined ? step > 0 : step === 1 && kind !== "update";
    if (!isNext) {
      violate("P8", `${id} goes from generation ${before.grant.generation} to ${grant.generation}`);
    }
  }

  function checkEdge({ before, after: { id, status, grant }, kind }: Written): void {
    if (before === undefined) return;
    const isSameGrant = grant.generation === before.grant.generation;
    const isConnected = before.status === "disconnected" && status !== "disconnected";
    if (isConnected && (isSameGrant || (kind !== undefined && kind !== "authorize"))) {
      violate("P7", `${id} is connected again by itself`);
    }
    if (before.status === "paused" && status === "active" && kind === "authorize") {
      violate("P7", `${id} is resumed by another than the operator`);
    }
    if (before.status === "reauthorization_required" && status === "active" && isSameGrant) {
      violate("P7", `${id} is active again without anybody's doing`);
    }
  }
}
