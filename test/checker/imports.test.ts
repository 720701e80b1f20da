import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

/** Goal: a fault of the receiver cannot hide in code that it shares with its checker. */

const files = readdirSync(import.meta.dirname).filter((file) => /(?<!\.test)\.ts$/.test(file));
const imports = files.flatMap((file) => {
  const text = readFileSync(path.join(import.meta.dirname, file), "utf8");
  return [...text.matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map(([, name]) => ({ file, name }));
});

it("imports nothing but itself, Node and zod; its program reads options as the others do", () => {
  const own = /^(\.\/[^/]+\.ts|node:.+|zod)$/;
  const foreign = imports.filter(({ name = "" }) => !own.test(name));
  expect(foreign).toEqual([{ file: "main.ts", name: "../support/options.ts" }]);
  expect(imports.length).toBeGreaterThan(20);
});
