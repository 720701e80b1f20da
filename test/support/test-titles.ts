import { readFileSync } from "node:fs";
import path from "node:path";

const TESTS = path.resolve(import.meta.dirname, "..");

/**
 * Returns the title in this file (`connect/pages`) that begins so, for a table. Throws when there is
 * none, so that no table names a test that is gone.
 */
export function titleOf(file: string, part: string): string {
  const text = readFileSync(path.join(TESTS, `${file}.test.ts`), "utf8");
  const titles = [...text.matchAll(/"((?:[^"\\\n]|\\.)+)"/g)].map(([, title = ""]) => title);
  const found = titles.filter((title) => title.startsWith(part));
  const [title] = found;
  if (title === undefined) throw new Error(`test/${file}.test.ts has no test "${part}"`);
  return title.replaceAll("|", "\\|");
}
