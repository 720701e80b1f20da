/** Work that is done once for each key. */
export interface OnceEach<T> {
  /** Returns the result of the first call with this key, running or finished. */
  run(key: string, work: () => Promise<T>): Promise<T>;
}

/** Returns a memory of the results of the last `keysMax` keys, within this instance. */
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
