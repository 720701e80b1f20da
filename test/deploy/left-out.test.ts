import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundle } from "../../functions/bundling.ts";
import { LEFT_OUT, type LeftOut } from "../../functions/left-out.ts";

/** Goal: the clients do the same without the modules that are left out of a bundle. */

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "left-out-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function runClients(leftOut: readonly LeftOut[]): Promise<string> {
  const file = path.join(folder, `clients-${leftOut.length}.cjs`);
  await bundle("test/deploy/bundled-clients.ts", file, [], leftOut);
  const { stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: "utf8",
    env: { METADATA_SERVER_DETECTION: "none" },
  });
  expect(stderr).toBe("");
  return stdout;
}

describe("without the modules that are left out", () => {
  it("every client opens, sends the same, reads the same and closes", async () => {
    const whole = await runClients([]);
    expect(whole).toContain("/google.firestore.v1.Firestore/Commit 00");
    expect(whole).toContain('"missing":"a"');
    expect(whole).toContain('"1"\n');
    expect(whole.endsWith("closed\nclosed\nclosed\n")).toBe(true);
    expect(await runClients(LEFT_OUT)).toBe(whole);
  });
});

describe("the build", () => {
  const build = (leftOut: Partial<LeftOut>) => {
    const file = path.join(folder, "never.cjs");
    const complete = { module: "", package: "google-gax", instead: "", ...leftOut };
    return bundle("test/deploy/bundled-clients.ts", file, [], [complete]);
  };

  it("fails when a library no longer has the module", async () => {
    const module = "google-gax/build/src/renamed.js";
    await expect(build({ module })).rejects.toThrow(`not once in the bundle: ${module}`);
  });

  it("fails when it finds the module without the package that needs it", async () => {
    const module = "protobufjs/ext/descriptor/index.js";
    await expect(build({ module, package: "another" })).rejects.toThrow(module);
  });
});
