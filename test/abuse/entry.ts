import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";

/** The four ways in which the inputs of an entry are made. */
export interface Generators<Input> {
  valid: fc.Arbitrary<Input>;
  oneFieldReplaced: fc.Arbitrary<Input>;
  oneByteChanged: fc.Arbitrary<Input>;
  rawBytes: fc.Arbitrary<Input>;
}

/**
 * More than the usual number of inputs, as in
 * `FUZZ_RUNS=100 npx vitest run test/abuse test/security-events`.
 */
export const RUNS_FACTOR = Number(process.env["FUZZ_RUNS"] || 1);
const INPUTS_PER_GENERATOR = 2_500;
/** No inputs may keep more than this after a garbage collection. */
const HEAP_BYTES_MAX = 24 * 1024 * 1024;

const TITLES: Record<keyof Generators<unknown>, string> = {
  valid: "valid inputs",
  oneFieldReplaced: "valid inputs with one field replaced by any value",
  oneByteChanged: "valid inputs with one byte changed",
  rawBytes: "raw bytes",
};

/**
 * One test for each generator: `check` sends an input and rejects when a promise is broken. With
 * them: no rejection is left unhandled in the process, and what is kept of the inputs is bounded.
 * A failing input is printed shrunk, with the seed that brings it again.
 */
export function holdsForAll<Input>(
  generators: Generators<Input>,
  check: (input: Input, kind: keyof Generators<unknown>) => Promise<void>,
): void {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  let heapBytes = 0;
  beforeAll(async () => {
    process.on("unhandledRejection", note);
    heapBytes = await heapUsed();
  });
  afterAll(async () => {
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
    const grownBytes = (await heapUsed()) - heapBytes;
    if (RUNS_FACTOR !== 1) console.info(`heap: ${(grownBytes / 1024 / 1024).toFixed(1)} MB more`);
    expect(grownBytes).toBeLessThan(HEAP_BYTES_MAX * RUNS_FACTOR);
  });

  for (const kind of ["valid", "oneFieldReplaced", "oneByteChanged", "rawBytes"] as const) {
    it(`holds for ${TITLES[kind]}`, { timeout: 120_000 * RUNS_FACTOR }, async () => {
      let checked = 0;
      const property = fc.asyncProperty(generators[kind], async (input) => {
        await check(input, kind);
        checked += 1;
      });
      const numRuns = Math.ceil(INPUTS_PER_GENERATOR * RUNS_FACTOR);
      await fc.assert(property, { numRuns });
      expect(checked).toBe(numRuns);
    });
  }
}

/** After collections, with turns between them for what is finalized. */
async function heapUsed(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  for (let collections = 0; collections < 3; collections++) {
    collect();
    await turn();
  }
  return process.memoryUsage().heapUsed;
}
