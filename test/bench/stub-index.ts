/** The place of a document in an order; a string or a number, alike for all of one field. */
export type Key = string | number;

/** Both ends belong to it. An open end is absent. */
export interface KeyRange {
  from?: Key | undefined;
  to?: Key | undefined;
}

/** A document in an index. */
export interface Entry {
  key: Key;
  name: string;
}

/** The documents that have a field, in the order of its values and then of their names. */
export interface StubIndex {
  add(key: Key, name: string): void;
  remove(key: Key, name: string): void;
  /** The names of at most `limit` documents of a range, after the given place if there is one. */
  names(range: KeyRange, limit: number, after?: Entry): string[];
  count(range: KeyRange): number;
}

/** One sorted array: to insert moves memory, which is fast enough for those that a run changes. */
export function createIndex(present: Iterable<Entry>): StubIndex {
  const entries = [...present].sort((a, b) => (isBefore(a, b) ? -1 : 1));

  /** The place of the first entry for which this holds; it holds for all that follow it. */
  function firstWhere(holds: (entry: Entry) => boolean): number {
    let [low, high] = [0, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const entry = entries[middle];
      if (entry !== undefined && holds(entry)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  const placeOf = (sought: Entry) => firstWhere((entry) => !isBefore(entry, sought));
  const startOf = ({ from }: KeyRange) =>
    from === undefined ? 0 : firstWhere(({ key }) => key >= from);
  const endOf = ({ to }: KeyRange) =>
    to === undefined ? entries.length : firstWhere(({ key }) => key > to);

  return {
    add(key, name) {
      entries.splice(placeOf({ key, name }), 0, { key, name });
    },
    remove(key, name) {
      entries.splice(placeOf({ key, name }), 1);
    },
    names(range, limit, after) {
      const first = after && firstWhere((entry) => isBefore(after, entry));
      const start = Math.max(startOf(range), first ?? 0);
      const end = Math.min(endOf(range), start + limit);
      return entries.slice(start, Math.max(start, end)).map(({ name }) => name);
    },
    count: (range) => Math.max(0, endOf(range) - startOf(range)),
  };
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.key < b.key || (a.key === b.key && a.name < b.name);
}
