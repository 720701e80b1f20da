import { beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../../functions/src/domain/clock.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { type Delivery, createDelivery } from "../../functions/src/platform/telemetry/delivery.ts";

/** Goal: a collector that is down costs one wait and one record, and is asked ever more seldom. */
describe("delivery to a collector", () => {
  let nowMs: number;
  let sleepers: { at: number; wake: () => void }[];
  let logged: string[];
  let delivery: Delivery;

  beforeEach(() => {
    nowMs = 0;
    sleepers = [];
    logged = [];
    const clock: Clock = {
      now: () => new Date(nowMs),
      sleep: (ms) => new Promise((wake) => sleepers.push({ at: nowMs + ms, wake })),
    };
    delivery = createDelivery(
      clock,
      createLog((line) => void logged.push((JSON.parse(line) as { reason: string }).reason)),
    );
  });

  function advance(ms: number): void {
    nowMs += ms;
    for (const { at, wake } of sleepers) if (at <= nowMs) wake();
  }
  const send = (...results: ("exported" | "failed")[]) =>
    delivery.bounded(() => {
      for (const result of results) delivery[result]("refused");
      return Promise.resolve();
    });

  /** How long it is left alone from now on. */
  function restMs(): number {
    const startMs = nowMs;
    while (delivery.isResting()) advance(1_000);
    return nowMs - startMs;
  }

  it("continues as long as everything arrives", async () => {
    await send("exported", "exported");
    expect(delivery.isResting()).toBe(false);
    expect(logged).toEqual([]);
  });

  it("pauses longer after each failure, up to a limit, and logs the first one", async () => {
    const rests: number[] = [];
    for (let failures = 0; failures < 8; failures++) {
      await send("failed", "failed");
      rests.push(restMs() / 1_000);
    }
    expect(rests).toEqual([30, 60, 120, 240, 480, 600, 600, 600]);
    expect(logged).toEqual(["refused"]);
  });

  it("starts over once everything has arrived again", async () => {
    await send("failed");
    restMs();
    await send("failed");
    restMs();
    await send("exported", "exported");
    await send("failed");
    expect(restMs()).toBe(30_000);
    expect(logged).toEqual(["refused", "refused"]);
  });

  it("waits for two seconds, and ignores a later response", async () => {
    let answer = () => {};
    const waiting = delivery.bounded(
      () =>
        new Promise<void>((resolve) => {
          answer = () => {
            delivery.exported();
            resolve();
          };
        }),
    );
    advance(2_000);
    await waiting;
    answer();
    expect(delivery.isResting()).toBe(true);
    expect(logged).toEqual(["timeout"]);
  });

  it("does not count one successful export of two", async () => {
    await send("failed");
    restMs();
    await send("exported", "failed");
    expect(restMs()).toBe(60_000);
    expect(logged).toEqual(["refused"]);
  });

  it("does not count an export of nothing", async () => {
    await send("failed");
    restMs();
    await send();
    await send("failed");
    expect(restMs()).toBe(60_000);
    expect(logged).toEqual(["refused"]);
  });

  it("reveals nothing of a failure", async () => {
    await expect(
      delivery.bounded(() => Promise.reject(new Error("refused"))),
    ).resolves.toBeUndefined();
  });
});
