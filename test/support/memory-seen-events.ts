import type { SeenEvents } from "../../functions/src/domain/seen-events.ts";

/** Seen security events in memory. */
export interface MemorySeenEvents extends SeenEvents {
  /** Everything stored, by id. */
  dump(): Record<string, { expireAt: Date }>;
}

export function memorySeenEvents(): MemorySeenEvents {
  const seen = new Map<string, { expireAt: Date }>();
  return {
    has: (id) => Promise.resolve(seen.has(id)),
    add: (id, expireAt) => Promise.resolve(void seen.set(id, { expireAt })),
    dump: () => Object.fromEntries(seen),
  };
}
