import path from "node:path";
import { describe, expect, it } from "vitest";
import { PARITY_PAGE, parityPage } from "../gmail-emulator/parity.ts";
import { VERIFICATION_PAGE, verificationPage } from "./controls.ts";
import { generatedFiles } from "../../functions/generated.ts";

/** Goal: what is generated from the source follows it. `npm run generate` writes the files. */

const ROOT = path.resolve(import.meta.dirname, "../..");

const FILES = {
  ...generatedFiles(),
  [VERIFICATION_PAGE]: verificationPage(),
  [PARITY_PAGE]: parityPage(),
};

describe("the generated files", () => {
  it.each(Object.entries(FILES))("include %s, up to date", async (file, text) => {
    await expect(text).toMatchFileSnapshot(path.join(ROOT, file));
  });
});
