/** Work that is done once for each key, however often it is asked for. */
export interface OnceEach<T> {
  /** Everybody who asks with the same key gets the outcome of the first, begun or ended. */
  run(key: string, work: () => Promise<T>): Promise<T>;
}

/** Keeps the outcomes of the last `keysMax` keys, within this instance. */
export function onceEach<T>(keysMax: number): OnceEach<T> {
  const outcomes = new Map<string, Promise<T>>();
  return {
    run(key, work) {
      const known = outcomes.get(key);
      if (known !== undefined) return known;
      const outcome = work();
      outcomes.set(key, outcome);
      const [oldest] = outcomes.keys();
      if (outcomes.size > keysMax && oldest !== undefined) outcomes.delete(oldest);
      return outcome;
    },
  };
}
