import type { OnceStore } from "./once.ts";

/** Ids that are kept. Older ones are dropped first. */
const IDS_MAX = 100_000;

interface Entry {
  by: string;
  until: Date;
  isHandled: boolean;
}

/** Remembers events in this process: for tests, and for one instance that may forget. */
export function memoryStore({ idsMax = IDS_MAX }: { idsMax?: number } = {}): OnceStore {
  const entries = new Map<string, Entry>();

  return {
    claim(id, { by, at, until }) {
      const entry = entries.get(id);
      if (entry?.isHandled === true) return Promise.resolve("handled");
      if (entry !== undefined && entry.until > at) return Promise.resolve("busy");
      entries.set(id, { by, until, isHandled: false });
      for (const oldest of entries.keys()) {
        if (entries.size <= idsMax) break;
        entries.delete(oldest);
      }
      return Promise.resolve("claimed");
    },
    finish(id, { by, until }) {
      entries.set(id, { by, until, isHandled: true });
      return Promise.resolve();
    },
    release(id, { by }) {
      const entry = entries.get(id);
      if (entry?.by === by && !entry.isHandled) entries.delete(id);
      return Promise.resolve();
    },
  };
}
