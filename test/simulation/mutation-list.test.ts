import { transform } from "esbuild";
import { describe, expect, it } from "vitest";
import { applyEdits, resolveEdits } from "./anchors.ts";
import { MUTATIONS } from "./mutation-list.ts";
import { readProduct } from "./product.ts";

describe("a known-bad change", () => {
  const product = readProduct();
  const resolved = resolveEdits(
    product,
    MUTATIONS.flatMap(({ edits }) => edits),
  );
  let first = 0;
  const changes = MUTATIONS.map(({ name, edits }) => {
    const own = resolved.slice(first, (first += edits.length));
    return [name, own] as const;
  });

  it("has a name of its own", () => {
    expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
  });

  it.each(changes)("finds what it changes: %s", async (_, edits) => {
    expect(edits.flatMap((edit) => (edit.kind === "found" ? [] : [edit.why]))).toEqual([]);
    const places = edits.filter((edit) => edit.kind === "found");
    for (const file of new Set(places.map((place) => place.file))) {
      const text = product[file] ?? "";
      const own = places.filter((place) => place.file === file);
      const changed = await transform(applyEdits(text, own), { loader: "ts", logLevel: "silent" });
      const before = await transform(text, { loader: "ts" });
      expect(changed.code).not.toBe(before.code);
    }
  });
});

describe("an anchor", () => {
  const files = {
    "room/one.ts": `
      /** Twenty is much. */
      export const LIMIT = 20;
      export function lists(all: readonly string[]) {
        // A comment, (with) brackets
        return all.flatMap((one) =>
          first(
            one, // the "first"
            \`\${one}//two\`,
          ),
        );
      }`,
    "room/two.ts": `
      export const other = { lists: () => [1, 1] };
      export function first(text: string) { return text === "a // b" ? /\\/\\/"/ : text; }`,
  };
  const find = (within: string, node: string) => {
    const [found] = resolveEdits(files, [{ within, node, replacement: "HERE" }]);
    return found?.kind === "found" ? applyEdits(files[found.file as never], [found]) : found?.why;
  };

  it("is found wherever its declaration is", () => {
    expect(find("LIMIT", "20")).toContain("LIMIT = HERE;");
    expect(find("first", 'text === "a // b"')).toContain('return HERE ? /\\/\\/"/ : text');
    expect(find("first", '/\\/\\/"/')).toContain('"a // b" ? HERE : text');
  });

  it("does not depend on white space, line breaks, comments and trailing commas", () => {
    expect(find("lists", "first(one, `${one}//two`)")).toContain("(one) =>\n          HERE,\n");
  });

  it("is a whole node", () => {
    expect(find("lists", "all.flatMap((one) =>")).toContain("0 nodes in lists");
    expect(find("first", "return text")).toContain("0 nodes in first (room/two.ts)");
  });

  it("is not found when nothing has the name, or more than one node has the text", () => {
    expect(find("LIMITS", "20")).toBe("nothing is called LIMITS");
    expect(find("lists", "1")).toContain("2 nodes in lists (room/one.ts, room/two.ts) read 1");
    expect(find("lists", "one")).toContain("nodes in lists");
  });

  it("refuses edits that overlap", () => {
    const place = { kind: "found", file: "room/one.ts", replacement: "" } as const;
    const places = [
      { ...place, start: 0, end: 5 },
      { ...place, start: 4, end: 6 },
    ];
    expect(() => applyEdits("0123456789", places)).toThrow("overlap");
  });
});
