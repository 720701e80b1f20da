import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import type { Metafile } from "esbuild";
import { type Lockfile, pathOf, reachable } from "./lockfile.ts";

/** A third-party package that is deployed: within the bundle, or installed next to it. */
export interface ThirdParty {
  /** In the project: `node_modules/a`. */
  path: string;
  name: string;
  version: string;
  /** SPDX, as the package says. */
  license: string;
  integrity?: string;
  delivery: "bundled" | "installed";
  /** The paths of the deployed packages that it needs. */
  needs: readonly string[];
}

/** Returns what these bundles and installed packages deploy, in the order of the lockfile. */
export function thirdParties(
  bundles: readonly Metafile[],
  installed: readonly string[],
  project: Lockfile,
): ThirdParty[] {
  const bundled = new Set(
    bundles.flatMap(({ inputs }) => Object.keys(inputs).map(packageOf)).filter((it) => it !== ""),
  );
  const reached = reachable(installed, project);
  const missing = [...bundled].filter((each) => !(each in project.packages));
  if (missing.length > 0) throw new Error(`package-lock.json has no ${missing.join(", ")}`);
  const isDeployed = (each: string | undefined) =>
    each !== undefined && (bundled.has(each) || reached.has(each));
  return Object.entries(project.packages)
    .filter(([each]) => isDeployed(each))
    .map(([each, locked]) => ({
      path: each,
      name: each.slice(each.lastIndexOf("node_modules/") + "node_modules/".length),
      version: locked.version ?? "",
      license: locked.license ?? "",
      ...(locked.integrity !== undefined && { integrity: locked.integrity }),
      delivery: bundled.has(each) ? "bundled" : "installed",
      needs: Object.keys({ ...locked.dependencies, ...locked.optionalDependencies })
        .map((name) => pathOf(name, each, project.packages))
        .filter((it) => it !== undefined)
        .filter(isDeployed),
    }));
}

/** `node_modules/a/node_modules/@b/c/lib/d.js` -> `node_modules/a/node_modules/@b/c`. */
function packageOf(input: string): string {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? "";
}

const RULE = "=".repeat(80);

/**
 * Returns the licences and notices of these packages, each text once, with its packages. Throws when a
 * bundled package has no licence text, since its own files are not deployed. For an installed package
 * the name of the licence is enough, because its files are deployed with it.
 */
export function noticesOf(packages: readonly ThirdParty[], root: string): string {
  const owners = new Map<string, Set<string>>();
  const lacking: string[] = [];
  for (const each of packages) {
    const { licences, notices } = textsOf(each, root);
    if (licences.length === 0 && each.delivery === "installed") {
      licences.push(`Its licence: https://spdx.org/licenses/${each.license}.html`);
    } else if (licences.length === 0)
      lacking.push(`${each.name} ${each.version} (${each.license})`);
    for (const text of [...licences, ...notices]) {
      const known = owners.get(text) ?? new Set();
      owners.set(text, known.add(`${each.name} ${each.version} (${each.license})`));
    }
  }
  if (lacking.length > 0) throw new Error(`no licence text: ${lacking.join(", ")}`);
  const parts = [...owners].map(
    ([text, names]) => `${RULE}\n${[...names].toSorted().join("\n")}\n\n${text}\n`,
  );
  const intro = "The software in this folder holds software of others, under these licences.\n";
  return [intro, ...parts.toSorted()].join("\n");
}

/** What a package says of its licence, in files of its own. */
function textsOf({ path: folder, license }: ThirdParty, root: string) {
  const files = readdirSync(path.join(root, folder)).toSorted();
  const read = (file: string) =>
    readFileSync(path.join(root, folder, file), "utf8")
      .replaceAll("\r\n", "\n")
      .trim();
  const licences = files.filter((file) => /^(licen[cs]e|copying)/i.test(file)).map(read);
  const notices = files.filter((file) => /^notice/i.test(file)).map(read);
  if (licences.length > 0) return { licences, notices };
  // The Apache licence has no text of its own for each work: ours is the same.
  if (license === "Apache-2.0") {
    const apache = readFileSync(path.join(root, "LICENSE"), "utf8").trim();
    return { licences: [apache], notices };
  }
  const readme = files.find((file) => /^readme/i.test(file));
  const told = readme === undefined ? "" : read(readme);
  const at = told.search(/^#* *(The )?(MIT )?licen[cs]e\b.*$/im);
  const isWhole = at >= 0 && /Permission (is hereby granted|to use)/.test(told.slice(at));
  return { licences: isWhole ? [told.slice(at)] : [], notices };
}

/**
 * A software bill of materials, CycloneDX 1.5 in JSON. The same packages make the same bill: it holds
 * no time and no serial number, which are optional.
 */
export function billOf(
  { name, version }: { name: string; version: string },
  packages: readonly ThirdParty[],
): object {
  const refs = new Map(packages.map((each) => [each.path, `${each.name}@${each.version}`]));
  const unique = [...new Map(packages.map((each) => [refs.get(each.path), each])).values()];
  const needsOf = (ref: string | undefined) =>
    packages
      .filter((each) => refs.get(each.path) === ref)
      .flatMap(({ needs }) => needs.map((need) => refs.get(need)));
  const own = `${name}@${version}`;
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        "bom-ref": own,
        type: "application",
        name,
        version,
        purl: `pkg:npm/${own}`,
        licenses: [{ license: { id: "Apache-2.0" } }],
      },
    },
    components: unique.map((each) => ({
      "bom-ref": refs.get(each.path),
      type: "library",
      name: each.name,
      version: each.version,
      purl: `pkg:npm/${each.name.replace("@", "%40")}@${each.version}`,
      ...(each.integrity !== undefined && { hashes: [hashOf(each.integrity)] }),
      licenses: [licenceOf(each.license)],
      properties: [{ name: "gmail-push-receiver:delivery", value: each.delivery }],
    })),
    dependencies: [
      { ref: own, dependsOn: [...new Set(refs.values())].toSorted() },
      ...unique.map((each) => {
        const ref = refs.get(each.path);
        return { ref, dependsOn: [...new Set(needsOf(ref))].toSorted() };
      }),
    ],
  };
}

/** `sha512-` and base64 -> CycloneDX's name of the algorithm and hex. */
function hashOf(integrity: string) {
  const [, bits = "", base64 = ""] = /^sha(\d+)-(\S+)$/.exec(integrity) ?? [];
  return { alg: `SHA-${bits}`, content: Buffer.from(base64, "base64").toString("hex") };
}

function licenceOf(spdx: string) {
  return / (OR|AND|WITH) /.test(spdx) ? { expression: spdx } : { license: { id: spdx } };
}
