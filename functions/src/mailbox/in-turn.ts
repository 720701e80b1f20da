import { type HistoryId, compareHistoryIds } from "../domain/history-id.ts";

/** Ids that one run serves; if there are more, the highest are kept. */
const NOTIFIED_MAX = 100;

/** Runs for one mailbox, one after the other within this instance. */
export interface InTurn<T> {
  /**
   * Runs once every earlier run with this key has ended. If it had to wait, everything that was
   * read of the mailbox before is outdated.
   */
  run(key: string, run: (hasWaited: boolean) => Promise<T>): Promise<T>;

  /**
   * Runs a notification. Notifications that arrive during another run share one run after it, with
   * all of their ids, ascending, and its outcome.
   */
  runNotified(
    key: string,
    historyId: HistoryId,
    run: (historyIds: readonly HistoryId[]) => Promise<T>,
  ): Promise<T>;
}

/**
 * Creates the queues. Across instances nothing locks: there, the checkpoint's condition decides.
 */
export function inTurn<T>(): InTurn<T> {
  const tails = new Map<string, Promise<void>>();
  const waiting = new Map<string, { historyIds: Set<HistoryId>; outcome: Promise<T> }>();

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
        joined.historyIds.add(historyId);
        if (joined.historyIds.size > NOTIFIED_MAX) {
          joined.historyIds.delete([...joined.historyIds].sort(compareHistoryIds)[0] ?? historyId);
        }
        return joined.outcome;
      }
      if (!tails.has(key)) return enqueue(key, () => run([historyId]));
      const historyIds = new Set([historyId]);
      const outcome = enqueue(key, () => {
        waiting.delete(key);
        return run([...historyIds].sort(compareHistoryIds));
      });
      waiting.set(key, { historyIds, outcome });
      return outcome;
    },
  };
}
