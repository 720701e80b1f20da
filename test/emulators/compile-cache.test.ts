import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isHad } from "../support/emulator-source.ts";
import { findNode } from "./framework-cli.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** Below the packages that the bundle imports. */
const CACHE = path.join(ROOT, "node_modules/.cache");

/**
 * Goal: what the build of a deployment compiles, an instance does not compile again. The build runs
 * the script `postinstall` in the place from which the functions are then served.
 */
describe.each(["gcloud", "firebase"])("the compile cache of the %s folder", (tool) => {
  let folder: string;

  beforeEach(async () => {
    await mkdir(CACHE, { recursive: true });
    folder = await mkdtemp(path.join(CACHE, "compile-cache-"));
    await cp(path.join(ROOT, "functions/dist", tool), folder, {
      recursive: true,
      filter: (source) => !source.includes(".compile-cache"),
    });
  });
  afterEach(() => rm(folder, { recursive: true }));

  function run(command: string, args: string[], major: number): string {
    const node = findNode(major);
    if (node.kind === "missing") throw new Error(node.why);
    const { status, stderr } = spawnSync(command, args, {
      cwd: folder,
      encoding: "utf8",
      env: {
        PATH: `${path.dirname(node.path)}:${process.env["PATH"]}`,
        NODE_DEBUG_NATIVE: "COMPILE_CACHE",
      },
    });
    if (status !== 0) throw new Error(stderr);
    return stderr;
  }
  const build = (major: number) => run("npm", ["run", "postinstall"], major);
  const start = (major: number) => run("node", ["index.js"], major);
  const accepted = () => `V8 code cache for CommonJS ${folder}/functions.js was accepted`;

  it.skipIf(!isHad(findNode(24)))(
    "is created by postinstall, and used by instances that start there",
    () => {
      build(24);
      expect(start(24)).toContain(accepted());
    },
  );

  it("is optional: a Node without a compile cache builds and starts", () => {
    build(20);
    start(20);
    expect(existsSync(path.join(folder, ".compile-cache"))).toBe(false);
  });
});
