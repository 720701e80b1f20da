import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { EMULATORS, thoroughPaths } from "../suites.ts";

/** Goal: CI runs every test file, once. */

const ROOT = path.resolve(import.meta.dirname, "../..");
const COMMANDS = ["test:all", "test:emulators"] as const;

const files = readdirSync(path.join(ROOT, "test"), { recursive: true, encoding: "utf8" })
  .map((file) => path.join("test", file))
  .filter((file) => file.endsWith(".test.ts"))
  .toSorted();

/** The test files that Vitest runs with these options. */
function listed(options: readonly string[]): string[] {
  const { stdout } = spawnSync(
    path.join(ROOT, "node_modules/.bin/vitest"),
    ["list", "--filesOnly", "--json", ...options],
    { cwd: ROOT, encoding: "utf8" },
  );
  const found: { file: string }[] = JSON.parse(stdout);
  return found.map(({ file }) => path.relative(ROOT, file)).toSorted();
}

describe("the suites of tests", () => {
  it("run each file once, all together", () => {
    const projects = COMMANDS.flatMap(
      (name) =>
        manifest.scripts[name]
          .match(/--project \w+/g)
          ?.join(" ")
          .split(" ") ?? [],
    );
    expect(listed(projects)).toEqual(files);
    expect(listed([])).toEqual(files);
  });

  it("need no other program for npm test", () => {
    const skipping = /\b(isHad|\w+ForTests|findGcloudSdk)\(/;
    const everyday = listed(["--project", "everyday"]);
    expect(everyday.length).toBeGreaterThan(50);
    const texts = everyday.map((file) => readFileSync(path.join(ROOT, file), "utf8"));
    expect(everyday.filter((_, index) => skipping.test(texts[index] ?? ""))).toEqual([]);
  });

  it("run all in CI", () => {
    const commands = readFileSync(path.join(ROOT, ".ci/run"), "utf8").split("\n");
    expect(commands).toEqual(expect.arrayContaining(COMMANDS.map((name) => `npm run ${name}`)));
  });

  it.each([...thoroughPaths, ...EMULATORS])("know %s, which exists", (given) => {
    const isGiven = (file: string) =>
      given.endsWith("/") ? file.startsWith(given) : file === given;
    expect(files.filter(isGiven)).not.toEqual([]);
  });
});
