import { expect, it } from "vitest";
import { createLog } from "../../functions/src/platform/log.ts";
import { sampleRepeats } from "../../functions/src/platform/log-sampling.ts";
import { movableClock } from "../support/scenario.ts";

function start() {
  const lines: Record<string, unknown>[] = [];
  const clock = movableClock();
  const log = sampleRepeats(
    createLog((line) => void lines.push(JSON.parse(line) as Record<string, unknown>)),
    clock,
  );
  return { lines, clock, log };
}

it("writes ten records that strangers cause per minute, and then the number of the others", () => {
  const { lines, clock, log } = start();
  for (let n = 1; n <= 1_000; n++) {
    log.with({ request: n }).warn("security_event_refused", "refused", { reason: `reason ${n}` });
  }
  expect(lines).toHaveLength(10);
  expect(lines[9]).toMatchObject({ request: 10, reason: "reason 10" });

  clock.advance(60_000);
  log.with({});
  expect(lines).toHaveLength(11);
  expect(lines[10]).toMatchObject({
    severity: "WARNING",
    event: "security_event_refused",
    unlogged: 990,
  });
  log.warn("security_event_refused", "refused");
  expect(lines).toHaveLength(12);
});

it("counts each event separately, and writes all records of other events", () => {
  const { lines, log } = start();
  for (let n = 1; n <= 20; n++) {
    log.info("authorization_refused", "refused");
    log.error("request_failed", "failed");
    log.info("user_connected", "connected");
    log.alert("token_keys_invalid", "alert");
  }
  const count = (event: string) => lines.filter((line) => line["event"] === event).length;
  expect(count("authorization_refused")).toBe(10);
  expect(count("request_failed")).toBe(10);
  expect(count("user_connected")).toBe(20);
  expect(count("token_keys_invalid")).toBe(20);
});
