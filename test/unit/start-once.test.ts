import { expect, it } from "vitest";
import { startOnce } from "../../functions/src/platform/start-once.ts";
import { movableClock } from "../support/scenario.ts";

it("starts once, however often it is called", async () => {
  let starts = 0;
  const get = startOnce(() => Promise.resolve(++starts), movableClock());
  expect(await Promise.all([get(), get()])).toEqual([1, 1]);
  expect(await get()).toBe(1);
});

it("pauses after a failed start, and then starts again", async () => {
  const clock = movableClock();
  let starts = 0;
  const get = startOnce(async () => {
    starts += 1;
    if (starts < 3) throw new Error(`start ${starts} failed`);
    return starts;
  }, clock);
  for (let request = 0; request < 100; request++) {
    await expect(get()).rejects.toThrow("start 1 failed");
  }
  clock.advance(10_000);
  for (let request = 0; request < 100; request++) {
    await expect(get()).rejects.toThrow("start 2 failed");
  }
  clock.advance(10_000);
  expect(await get()).toBe(3);
});
