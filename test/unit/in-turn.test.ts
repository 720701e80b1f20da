import { describe, expect, it } from "vitest";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import { inTurn } from "../../functions/src/mailbox/in-turn.ts";

const id = (value: number) => String(value) as HistoryId;

/** A run that ends when told to. */
function held<T>(): { promise: Promise<T>; end: (value: T) => void; fail: () => void } {
  let end: (value: T) => void = () => {};
  let fail: () => void = () => {};
  const promise = new Promise<T>((resolve, reject) => {
    end = resolve;
    fail = () => reject(new Error("failed"));
  });
  return { promise, end, fail };
}

describe("inTurn", () => {
  it("runs at once for a free key, and one after the other for a busy one", async () => {
    const turns = inTurn<string>();
    const first = held<string>();
    const order: string[] = [];
    const a = turns.run("ada", () => {
      order.push("a");
      return first.promise;
    });
    const b = turns.run("ada", () => {
      order.push("b");
      return Promise.resolve("b");
    });
    await turns.run("bob", () => {
      order.push("other");
      return Promise.resolve("other");
    });
    expect(order).toEqual(["a", "other"]);
    first.end("a");
    expect(await Promise.all([a, b])).toEqual(["a", "b"]);
    expect(order).toEqual(["a", "other", "b"]);
  });

  it("lets notifications that wait share one run, with all of their ids and its outcome", async () => {
    const turns = inTurn<string>();
    const first = held<string>();
    const ran: (readonly HistoryId[])[] = [];
    const run = (historyIds: readonly HistoryId[]) => {
      ran.push(historyIds);
      return ran.length === 1 ? first.promise : Promise.resolve(`up to ${historyIds.at(-1)}`);
    };
    const outcomes = [7, 12, 9, 12].map((each) => turns.runNotified("ada", id(each), run));
    first.end("up to 7");
    expect(await Promise.all(outcomes)).toEqual(["up to 7", "up to 12", "up to 12", "up to 12"]);
    expect(ran).toEqual([[id(7)], [id(9), id(12)]]);
  });

  it("reports a failure to the notifications that share the run, and to none after them", async () => {
    const turns = inTurn<string>();
    const first = held<string>();
    const failing = turns.runNotified("ada", id(1), () => first.promise);
    const waiting = turns.runNotified("ada", id(2), () => Promise.resolve("second"));
    first.fail();
    await expect(failing).rejects.toThrow("failed");
    expect(await waiting).toBe("second");
    expect(await turns.run("ada", () => Promise.resolve("third"))).toBe("third");
  });
});
