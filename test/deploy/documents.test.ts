import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { anchorsOf } from "./anchors.ts";

/** Goal: a reader of the documents can follow every link. */

const ROOT = path.resolve(import.meta.dirname, "../..");
const FOLDERS = [".", "functions", "functions/docs", "infra", "infra/docs"];
const isDocument = (file: string) => file.endsWith(".md") && !file.includes("node_modules");

const documents = [
  ...FOLDERS.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder)).map((file) => path.join(folder, file)),
  ),
  ...["test", "functions/subscriber"]
    .filter((folder) => existsSync(path.join(ROOT, folder)))
    .flatMap((folder) =>
      readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((file) =>
        path.join(folder, file),
      ),
    ),
].filter(isDocument);

const read = (file: string) => readFileSync(path.join(ROOT, file), "utf8");

/** The links of a document that lead nowhere: to a missing file, or to a missing heading. */
function deadLinks(document: string): string[] {
  const prose = read(document).replace(/^```[^]*?^```$/gm, "");
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  return links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? document : path.join(path.dirname(document), file);
    if (!existsSync(path.join(ROOT, target))) return true;
    return anchor !== undefined && !anchorsOf(read(target)).has(anchor);
  });
}

const sources = ["functions", "infra", "test"].flatMap((folder) =>
  readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((file) => path.join(folder, file))
    .filter((file) => !/node_modules|\bdist\b/.test(file)),
);

/** The source files, scripts and folders that a document names in backticks and that no folder contains. */
function missingSources(document: string): string[] {
  if (document === "CHANGELOG.md") return [];
  const names = [...read(document).matchAll(/`([\w./-]+\.(?:ts|tf|sh))`/g)].map(
    ([, name = ""]) => name,
  );
  return names.filter((name) => {
    const end = `/${name.replace(/^(\.\.\/)+/, "")}`;
    return !sources.some((source) => `/${source}`.endsWith(end));
  });
}

describe("the documents", () => {
  it.each(documents)("%s links only to files and headings that exist", (document) => {
    expect(deadLinks(document)).toEqual([]);
  });

  it.each(documents)("%s names only source files that exist", (document) => {
    expect(missingSources(document)).toEqual([]);
  });

  it("are all found", () => {
    expect(documents).toEqual(expect.arrayContaining(["README.md", "infra/docs/runbook.md"]));
  });
});
