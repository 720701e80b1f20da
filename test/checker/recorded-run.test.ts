import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { simulate } from "../simulation/simulate.ts";
import { judge } from "./judge.ts";
import { readRecording } from "./recording.ts";

/** Goal: the checker judges a run by its recording alone as well as the simulation while it runs. */

const ROOT = path.resolve(import.meta.dirname, "../..");
const TIMEOUT_MS = 60_000;
/** Each costs a judgement of its own. */
const MISSING_MAX = 20;

async function record(seed: number): Promise<string[]> {
  const lines: string[] = [];
  await simulate(seed, { record: (line) => void lines.push(JSON.stringify(line)) });
  return lines;
}

function brokenIn(lines: readonly string[]): string[] {
  return judge(readRecording(lines.join("\n"))).broken.map(({ property }) => property);
}

describe("a recorded run of the simulation", () => {
  it.each([1, 3, 10, 14])(
    "of seed %i breaks no promise, with Gmail's truth or without",
    async (seed) => {
      const lines = await record(seed);
      expect(lines.filter((line) => line.startsWith('{"gmail"')).length).toBeGreaterThan(5);
      expect(brokenIn(lines)).toEqual([]);
      const isShown = (line: string) => !/^\{"(gmail|incident)"/.test(line);
      expect(brokenIn(lines.filter(isShown))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    "breaks P1 or P4 without any one of its changes",
    async () => {
      const lines = await record(17);
      // A gap would excuse what is missing in it.
      expect(lines.filter((line) => line.includes("mailbox.gap"))).toEqual([]);
      const isChange = (line: string) => /^\{"message".*"ce-subject":"messages\//.test(line);
      const idOf = (line: string) => /"ce-id":"([^"]+)"/.exec(line)?.[1];
      const changes = lines.filter(isChange);
      const once = changes.filter((line) =>
        changes.every((other) => other === line || idOf(other) !== idOf(line)),
      );
      expect(once.length).toBeGreaterThan(MISSING_MAX);
      for (const missing of once.slice(0, MISSING_MAX)) {
        const broken = brokenIn(lines.filter((line) => line !== missing));
        expect(broken.some((property) => property === "P1" || property === "P4")).toBe(true);
      }
    },
    TIMEOUT_MS,
  );
});

describe("npm run check-recording", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "recording-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  function run(lines: readonly string[]) {
    const file = path.join(folder, "run.jsonl");
    writeFileSync(file, lines.join("\n"));
    const args = ["--import", "tsx", "test/checker/main.ts", file];
    return spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  }

  it(
    "ends with 0, 1 or 2, and says why",
    async () => {
      const lines = await record(17);
      const kept = run(lines);
      expect(kept.stdout).toContain("no promise is broken, as far as the recording shows");
      expect(kept.status).toBe(0);
      const broken = run(lines.filter((line) => !line.includes('"mailbox.connected"')));
      expect(broken.stdout).toMatch(/^P7 broken at 2026-11-01T.*connected\/1 is noted/m);
      expect(broken.status).toBe(1);
      const unreadable = run([...lines, "{}"]);
      expect(unreadable.stderr).toContain(`line ${lines.length + 1}: `);
      expect(unreadable.status).toBe(2);
    },
    TIMEOUT_MS,
  );
});
