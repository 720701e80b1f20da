import { afterEach, describe, expect, it } from "vitest";
import { type FunctionProcess, startFunction } from "../bench/function-process.ts";
import { requiredEnv } from "../local/environment.ts";
import { BOMBS, sendLargestMessages } from "./bombs.ts";

/**
 * Goal: no caller can end an instance with what it sends. Each bomb is sent to a built function as the
 * functions-framework serves it, with the heap of 512 MiB; what counts is the peak of its resident
 * memory, which no limit of the system cuts off here.
 */

/** What an instance may have, less what the system around it takes. */
const PEAK_BYTES_MAX = 256 * 1024 * 1024;

describe.each(["gcloud", "firebase"])("the %s folder", (tool) => {
  let served: FunctionProcess | undefined;
  afterEach(() => served?.stop());

  const start = async (target: string, signatureType: "http" | "cloudevent") => {
    const folder = `functions/dist/${tool}`;
    served = await startFunction({ folder, target, signatureType }, requiredEnv());
    return served;
  };

  describe.each(["connect", "securityEvent"])("%s", (target) => {
    it.each(Object.keys(BOMBS))("survives %s", async (bomb) => {
      const started = await start(target, "http");
      // Keys, clients and all else that the first request costs.
      const ask = () => started.post("a=b", { connection: "close" });
      expect(await ask()).toBeGreaterThanOrEqual(400);

      const sent = await BOMBS[bomb]?.send(started.port, started.usage);
      expect(sent?.looked.peakBytes).toBeLessThan(PEAK_BYTES_MAX);
      // 0 is an answer that was lost with the connection, which the sender had not stopped to use.
      expect(sent?.statuses.filter((status) => ![0, 413, 415].includes(status))).toEqual([]);
      expect(await ask()).toBeGreaterThanOrEqual(400);
    });
  });

  it("acknowledges 20 of the largest messages at once", async () => {
    const started = await start("gmailNotification", "cloudevent");
    expect(await sendLargestMessages(started.port)).toEqual(Array<number>(20).fill(204));
    expect((await started.usage()).peakBytes).toBeLessThan(PEAK_BYTES_MAX);
  });
});
