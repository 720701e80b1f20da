/** Draws from one stream of randomness. */
export interface Stream {
  /** In [0, 1). */
  next(): number;
  chance(probability: number): boolean;
  /** A number in [min, max). */
  between(min: number, max: number): number;
  /** A whole number in [min, max]. */
  int(min: number, max: number): number;
  pick<T>(list: readonly [T, ...T[]]): T;
  /** One of a list that may be empty. */
  some<T>(list: readonly T[]): T | undefined;
}

/**
 * Streams of one seed, one for each label: a draw more in one place changes nothing in the others.
 */
export function randomStreams(seed: number): (label: string) => Stream {
  const streams = new Map<string, Stream>();
  return (label) => {
    const present = streams.get(label);
    if (present !== undefined) return present;
    const made = createStream(hash(`${seed}/${label}`));
    streams.set(label, made);
    return made;
  };
}

function createStream(start: number): Stream {
  const next = mulberry32(start);
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    chance: (probability) => probability > 0 && next() < probability,
    between: (min, max) => min + next() * (max - min),
    int,
    pick: (list) => list[int(0, list.length - 1)] ?? list[0],
    some: (list) => list[int(0, list.length - 1)],
  };
}

/** The generator of that name: 32 bits of state, good enough to choose faults with. */
function mulberry32(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** FNV-1a, 32 bits. */
export function hash(text: string, start = 0x811c9dc5): number {
  let value = start;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
