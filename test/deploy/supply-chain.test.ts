import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Lockfile, lockfileFor } from "../../functions/lockfile.ts";
import { type ThirdParty, noticesOf } from "../../functions/third-party.ts";

/**
 * Goal: what is deployed is what was tested, and says what it is made of. The packages of a bundle are
 * read off its source map, which the bill of materials is not made from.
 */

const ROOT = path.resolve(import.meta.dirname, "../..");
const TOOLS = ["gcloud", "firebase"] as const;
const project = JSON.parse(readFileSync(path.join(ROOT, "package-lock.json"), "utf8")) as Lockfile;

interface Component {
  name: string;
  version: string;
  purl: string;
  hashes: unknown;
  licenses: unknown;
  properties: { value: string }[];
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "supply-chain-"));
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", path.join(ROOT, "functions/build.ts"), folder],
    { cwd: ROOT, encoding: "utf8", timeout: 120_000 },
  );
  if (status !== 0) throw new Error(stderr);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (tool: string, file: string) => readFileSync(path.join(folder, tool, file), "utf8");
const billOf = (tool: string) =>
  JSON.parse(read(tool, "sbom.cdx.json")) as { components: Component[] } & Record<string, unknown>;

/**
 * The packages whose code is in the bundles, by name and version. Some sources are named by a map of
 * the package's own, which can lead to a folder that was not published.
 */
function bundledIn(tool: string): string[] {
  const sources = ["functions.js.map", "telemetry.js.map"].flatMap(
    (file) => (JSON.parse(read(tool, file)) as { sources: string[] }).sources,
  );
  const folders = sources.flatMap((source) => {
    return /(node_modules\/(?:.*node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1] ?? [];
  });
  const manifests = [...new Set(folders)]
    .map((each) => path.join(ROOT, each, "package.json"))
    .filter((file) => existsSync(file));
  return manifests.map((file) => {
    const { name, version } = JSON.parse(readFileSync(file, "utf8")) as Component;
    return `${name} ${version}`;
  });
}

function npm(cwd: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync("npm", args, {
    cwd,
    encoding: "utf8",
    timeout: 60_000,
    // No registry: what npm would have to ask for is an error.
    env: {
      ...process.env,
      npm_config_offline: "true",
      npm_config_cache: path.join(folder, "cache"),
    },
  });
  return { status, stdout, stderr };
}

describe.each(TOOLS)("the folder for %s", (tool) => {
  it("locks every package at the version and the hash that was tested", () => {
    const { packages } = JSON.parse(read(tool, "package-lock.json")) as Lockfile;
    const locked = Object.entries(packages).filter(([at]) => at !== "");
    expect(locked.length).toBeGreaterThan(100);
    for (const [at, { version, integrity }] of locked) {
      expect({ at, version, integrity }).toEqual({
        at,
        version: project.packages[at]?.version,
        integrity: project.packages[at]?.integrity,
      });
      expect(integrity).toMatch(/^sha512-/);
    }
  });

  it("is accepted by npm ci without a request to the registry", () => {
    const { packages } = JSON.parse(read(tool, "package-lock.json")) as Lockfile;
    const ci = npm(path.join(folder, tool), "ci", "--dry-run");
    expect(ci).toMatchObject({ status: 0 });
    const added = [...ci.stdout.matchAll(/^add (\S+) (\S+)$/gm)].map(
      ([, name, version]) => `${name} ${version}`,
    );
    const locked = Object.entries(packages)
      .filter(([at]) => at !== "")
      .map(([at, { version, optional = false }]) => {
        const name = at.slice(at.lastIndexOf("node_modules/") + "node_modules/".length);
        return { what: `${name} ${version}`, optional };
      });
    expect(added.length).toBeGreaterThan(100);
    const known = new Set(locked.map(({ what }) => what));
    expect(added.filter((each) => !known.has(each))).toEqual([]);
    // Optional ones can be for another platform.
    const required = locked.filter(({ optional }) => !optional).map(({ what }) => what);
    expect(required.filter((each) => !added.includes(each))).toEqual([]);
  });

  it("is rejected by npm ci once the manifest requires another version", () => {
    const changed = path.join(folder, `${tool}-changed`);
    mkdirSync(changed);
    cpSync(path.join(folder, tool, "package-lock.json"), path.join(changed, "package-lock.json"));
    const manifest = read(tool, "package.json").replace(/"(\d+)\.(\d+\.\d+)"\n/g, '"$1.99.0"\n');
    expect(manifest).toContain(".99.0");
    writeFileSync(path.join(changed, "package.json"), manifest);
    expect(npm(changed, "ci", "--dry-run").status).not.toBe(0);
  });

  it("names every package of the bundle, with the text of its licence", () => {
    const bundled = bundledIn(tool);
    expect(bundled.length).toBeGreaterThan(80);
    const { components } = billOf(tool);
    const told = components
      .filter(({ properties }) => properties.some(({ value }) => value === "bundled"))
      .map(({ name, version }) => `${name} ${version}`);
    expect(bundled.filter((each) => !told.includes(each))).toEqual([]);
    const parts = read(tool, "THIRD-PARTY-NOTICES.txt")
      .split(`${"=".repeat(80)}\n`)
      .slice(1);
    for (const name of told) {
      const own = parts.filter((part) => part.split("\n\n")[0]?.includes(`${name} (`));
      const text = own.map((part) => part.slice(part.indexOf("\n\n"))).join("");
      expect([name, text.length > 300]).toEqual([name, true]);
    }
  });

  it("has a bill of materials that agrees about the same packages", () => {
    const bill = billOf(tool);
    expect(bill).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5" });
    expect(bill).not.toHaveProperty("serialNumber");
    expect(bill["metadata"]).not.toHaveProperty("timestamp");
    const refs = new Set(bill.components.map(({ purl }) => purl));
    expect(refs.size).toBe(bill.components.length);
  });
});

describe("the bill of materials", () => {
  it("agrees with npm's own bill of materials about a package", () => {
    const installed = path.join(folder, "gcloud");
    const { stdout } = npm(installed, "sbom", "--sbom-format=cyclonedx", "--package-lock-only");
    const npms = (JSON.parse(stdout) as { components: Component[] }).components;
    expect(npms.length).toBeGreaterThan(100);
    const ours = new Map(billOf("gcloud").components.map((each) => [each.purl, each]));
    for (const { purl, hashes, licenses, name, version } of npms) {
      expect(ours.get(purl)).toMatchObject({ purl, hashes, licenses, name, version });
    }
  });
});

describe("the build", () => {
  const given: Omit<ThirdParty, "license" | "delivery"> = {
    path: "node_modules/a",
    name: "a",
    version: "1.0.0",
    needs: [],
  };

  it("fails when a bundled package has no licence text", () => {
    const root = path.join(folder, "bare");
    mkdirSync(path.join(root, "node_modules/a"), { recursive: true });
    writeFileSync(path.join(root, "node_modules/a/README.md"), "# a\n\n## License\n\nMIT\n");
    const bundled: ThirdParty = { ...given, license: "MIT", delivery: "bundled" };
    expect(() => noticesOf([bundled], root)).toThrow("no licence text: a 1.0.0 (MIT)");
    writeFileSync(path.join(root, "node_modules/a/LICENCE"), "Permission is granted to all.");
    expect(noticesOf([bundled], root)).toContain("a 1.0.0 (MIT)\n\nPermission is granted to all.");
  });

  it("fails when the lockfile lacks a package that is needed", () => {
    const packages = { ...project.packages };
    delete packages["node_modules/cloudevents"];
    const manifest = {
      name: "x",
      version: "1.0.0",
      engines: {},
      dependencies: { "@google-cloud/functions-framework": "5.0.5" },
      devDependencies: {},
    };
    expect(() => lockfileFor(manifest, { ...project, packages })).toThrow(
      "package-lock.json has no cloudevents",
    );
  });
});
