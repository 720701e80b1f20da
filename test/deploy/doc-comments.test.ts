import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { type Node, SyntaxKind } from "typescript/unstable/ast";
import { describe, expect, it } from "vitest";
import { parse } from "../simulation/anchors.ts";

/** Goal: a reader learns from its doc comment what each exported name is. */

const ROOT = path.resolve(import.meta.dirname, "../..");

interface Export {
  name: string;
  /** The text of its doc comment, without the asterisks. */
  comment: string | undefined;
}

/** Every export that a folder declares; what a file exports again is left out. */
function exportsBelow(folder: string): Export[] {
  const names = readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => path.join(folder, file));
  const texts = names.map((file) => [file, readFileSync(path.join(ROOT, file), "utf8")] as const);
  return parse(Object.fromEntries(texts)).flatMap(([file, { statements, text }]) =>
    statements.filter(isExported).map((statement) => ({
      name: `${file} > ${nameOf(statement)}`,
      comment: commentOf(text.slice(statement.pos, statement.getStart())),
    })),
  );
}

type Statement = Node & {
  modifiers?: readonly Node[];
  name?: Node;
  declarationList?: { declarations: readonly { name: Node }[] };
};

function isExported({ modifiers = [] }: Statement): boolean {
  return modifiers.some(({ kind }) => kind === SyntaxKind.ExportKeyword);
}

function nameOf({ name, declarationList }: Statement): string {
  const names = declarationList?.declarations.map((each) => each.name) ?? [name];
  return names.map((each) => each?.getText()).join(", ");
}

function commentOf(trivia: string): string | undefined {
  const last = trivia.match(/\/\*\*(?:(?!\*\/)[^])*\*\/\s*$/)?.[0];
  return last
    ?.replace(/^\s*\/?\*+\/? ?/gm, "")
    .replace(/\s*\*\/\s*$/, "")
    .trim();
}

describe.each(["functions/src", "functions/subscriber", "infra/cli"])(
  "the exports of %s",
  (folder) => {
    const found = exportsBelow(folder);

    it("have a doc comment each", () => {
      expect(found.length).toBeGreaterThan(10);
      expect(found.filter(({ comment }) => !comment).map(({ name }) => name)).toEqual([]);
    });

    it("have doc comments that stand alone", () => {
      const dependent = found.filter(({ comment = "" }) =>
        /^(The same|It|This|That|They|These|Those)\b/.test(comment),
      );
      expect(dependent.map(({ name, comment }) => `${name}: ${comment}`)).toEqual([]);
    });
  },
);
