import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, it } from "vitest";

// In a process of its own: `node:domain` makes every promise of a process slower.
const PROGRAM = `
  import { create } from "node:domain";
  import { leaveDomain } from "./functions/src/entries/leave-domain.ts";
  const inDomain = async () => (await 0, process.domain != null);
  const left = async () => (leaveDomain(), inDomain());
  const both = await create().run(async () => [await inDomain(), await left()]);
  console.log(JSON.stringify([...both, await left()]));
`;

it("continues a request outside the domain, and does nothing where there is none", () => {
  const args = ["--import", "tsx", "--input-type=module", "--eval", PROGRAM];
  const printed = execFileSync(process.execPath, args, {
    cwd: path.join(import.meta.dirname, "../.."),
    encoding: "utf8",
  });
  expect(JSON.parse(printed)).toEqual([true, false, false]);
});
