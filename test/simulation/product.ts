import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Files } from "./anchors.ts";

/** Where the sources of the product are. */
export const PRODUCT = path.resolve(
  path.dirname(fileURLToPath(import.meta.url)),
  "../../functions/src",
);

/** The sources of the product, by their paths below `functions/src`. */
export function readProduct(): Files {
  const files = readdirSync(PRODUCT, { recursive: true, encoding: "utf8" });
  const sources = files.filter((file) => file.endsWith(".ts"));
  return Object.fromEntries(
    sources.map((file) => [
      file.split(path.sep).join("/"),
      readFileSync(path.join(PRODUCT, file), "utf8"),
    ]),
  );
}
