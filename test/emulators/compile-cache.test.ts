import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeStart } from "../../functions/bundling.ts";
import { isHad } from "../support/emulator-source.ts";
import { findNode } from "./framework-cli.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** Below the packages that the bundle imports. */
const CACHE = path.join(ROOT, "node_modules/.cache");

/** What may be set where a deployment is built, and must not count. */
const ENVIRONMENT = {
  TOKEN_KEYS: "not a key ring",
  FIRESTORE_EMULATOR_HOST: "127.0.0.1:1",
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
  HTTPS_PROXY: "http://127.0.0.1:1",
};

/** The calls that somebody waits for. */
const REHEARSED =
  "rehearsed: gmailNotification /, connect /, connect /start, gmailApi /gmail/v1/users/1/messages/a1\n";

/** As every way of deploying sets it. */
const HEAP = "--max-old-space-size=256";

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);
beforeEach(async () => {
  await mkdir(CACHE, { recursive: true });
  folder = await mkdtemp(path.join(CACHE, "compile-cache-"));
});
afterEach(() => rm(folder, { recursive: true }));

function run(command: string, args: string[], major: number): string {
  const node = findNode(major);
  if (node.kind === "missing") throw new Error(node.why);
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    env: { ...ENVIRONMENT, PATH: `${path.dirname(node.path)}:${process.env["PATH"]}` },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}
const build = (major: number) => run("npm", ["run", "--silent", "postinstall"], major);
const rehearse = () => run("node", [HEAP, "rehearsal.js"], 24);

/** Starts an instance, which resolves to what it found. */
function start(major = 24, flags: string[] = []): string {
  const script = `const { value } = require("./index.cjs"); console.log(globalThis.compileCache, value);`;
  return run("node", [HEAP, ...flags, "--eval", script], major).trim();
}

/**
 * Goal: what the build of a deployment compiles, an instance does not compile again. The build runs
 * the script `postinstall` in the place from which the functions are then served.
 */
describe.each(["gcloud", "firebase"])("the compile cache of the %s folder", (tool) => {
  beforeEach(() =>
    cp(path.join(ROOT, "functions/dist", tool), folder, {
      recursive: true,
      filter: (source) => !source.includes(".compile-cache"),
    }),
  );

  it.each([20, 24].filter((major) => isHad(findNode(major))))(
    "is made by postinstall, which rehearses, and used by instances: Node %i",
    (major) => {
      expect(start(major)).toBe("absent undefined");
      expect(build(major)).toBe(REHEARSED);
      expect(start(major)).toBe("used undefined");
    },
  );

  it("holds the functions that V8 compiles on their first call", () => {
    const rehearsal = readFileSync(at("rehearsal.js"));
    const sizeAfter = (content: string | Buffer) => {
      writeFileSync(at("rehearsal.js"), content);
      rehearse();
      const file = at(".compile-cache", readdirSync(at(".compile-cache"))[0] ?? "");
      const { length } = readFileSync(file);
      rmSync(file);
      return length;
    };
    const loaded = sizeAfter(`require("./index.cjs"); process.exit();`);
    expect(sizeAfter(rehearsal)).toBeGreaterThan(1.2 * loaded);
  });

  it("is not used where V8 rejects it", () => {
    rehearse();
    expect(start(24, ["--no-lazy"])).toBe("rejected undefined");
    const [name = ""] = readdirSync(at(".compile-cache"));
    writeFileSync(at(".compile-cache", name), "broken");
    expect(start()).toBe("rejected undefined");
  });
});

describe("a compile cache", () => {
  const makeBundle = async (value: string) => {
    writeFileSync(at("functions.js"), `exports.value = ${value};`);
    await makeStart(folder);
  };

  it("is never used for another bundle, not even one of the same length", async () => {
    await makeBundle("1");
    rehearse();
    expect(start()).toBe("used 1");
    await makeBundle("2");
    expect(start()).toBe("absent 2");
  });

  it("is never made of a bundle with other characters than ASCII, which it would misread", async () => {
    writeFileSync(at("functions.js"), "exports.value = String.raw`–`;");
    await expect(makeStart(folder)).rejects.toThrow("not ASCII");
  });

  it("is made even if the rehearsal fails, and the build goes on and says why", async () => {
    writeFileSync(
      at("functions.js"),
      `exports.gmailNotification = () => { console.log("its log"); throw new Error("a reason"); };`,
    );
    await makeStart(folder);
    expect(rehearse()).toBe("not all rehearsed: Error: a reason\nits log\n\n");
    expect(start()).toBe("used undefined");
  });

  it("is not made of a bundle that does not load: the build fails", async () => {
    await makeBundle("missing");
    const { status, stderr } = spawnSync(process.execPath, ["rehearsal.js"], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain("missing is not defined");
  });
});
