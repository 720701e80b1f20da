import { describe, expect, it } from "vitest";
import { isHad } from "../support/emulator-source.ts";
import { findStage, runStorm } from "./storm.ts";

const SEED = Number(process.env["STORM_SEED"] ?? 1);
const KILLS = 25;

/**
 * The built folder in real processes, on a real Firestore and Pub/Sub emulator. `main.ts` beside
 * this file does the same for longer.
 */
describe.skipIf(!isHad(findStage()))("two processes that are killed again and again", () => {
  it(`publish every change, in order, and nothing else (seed ${SEED})`, async () => {
    const report = await runStorm({ seed: SEED, kills: KILLS });
    console.table({ ...report, findings: report.findings.length });
    expect(report).toMatchObject({
      findings: [],
      kills: KILLS,
      lost: 0,
      invented: 0,
      outOfOrder: 0,
      unpublishedPassed: 0,
      cursorBack: 0,
      flagged: 0,
      unsettled: 0,
      broken: 0,
      abandoned: 0,
      alerts: 0,
    });
    // It was a storm, and the kills were felt.
    expect(report.changes).toBeGreaterThan(200);
    expect(report.redeliveries).toBeGreaterThan(KILLS);
    expect(report.duplicates).toBeGreaterThan(0);
    expect(report.samples).toBeGreaterThan(50);
  }, 240_000);
});
