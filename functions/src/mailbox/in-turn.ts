import { type HistoryId, maxHistoryId } from "./history-id.ts";

/** Runs over one mailbox, one after the other within this instance. */
export interface InTurn<T> {
  /**
   * Runs once everything before it on this key has ended, however it ended. When it had to wait,
   * whatever was read of the mailbox before is out of date.
   */
  run(key: string, run: (hasWaited: boolean) => Promise<T>): Promise<T>;

  /**
   * The same for a notification. Notifications that arrive while another run is under way share
   * one run after it, with the highest of their ids, and its outcome.
   */
  runNotified(
    key: string,
    historyId: HistoryId,
    run: (highest: HistoryId) => Promise<T>,
  ): Promise<T>;
}

/** Across instances nothing locks: there the checkpoint's condition decides. */
export function inTurn<T>(): InTurn<T> {
  const tails = new Map<string, Promise<void>>();
  const waiting = new Map<string, { highest: HistoryId; outcome: Promise<T> }>();

  function enqueue(key: string, run: (hasWaited: boolean) => Promise<T>): Promise<T> {
    const before = tails.get(key);
    const outcome = before === undefined ? run(false) : before.then(() => run(true));
    const tail = outcome.then(
      () => leave(),
      () => leave(),
    );
    function leave(): void {
      if (tails.get(key) === tail) tails.delete(key);
    }
    tails.set(key, tail);
    return outcome;
  }

  return {
    run: enqueue,
    runNotified(key, historyId, run) {
      const joined = waiting.get(key);
      if (joined !== undefined) {
        joined.highest = maxHistoryId(joined.highest, historyId);
        return joined.outcome;
      }
      if (!tails.has(key)) return enqueue(key, () => run(historyId));
      const outcome = enqueue(key, () => {
        const highest = waiting.get(key)?.highest ?? historyId;
        waiting.delete(key);
        return run(highest);
      });
      waiting.set(key, { highest: historyId, outcome });
      return outcome;
    },
  };
}
