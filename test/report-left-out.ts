import type { Reporter, Vitest } from "vitest/node";
import { THOROUGH } from "./suites.ts";
import { SKIPPED } from "./support/emulator-source.ts";

/** Prints, after everything else, which tests did not run and why. */
export function reportLeftOut(): Reporter {
  const reasons = new Set<string>();
  let chosen: readonly string[] = [];
  return {
    onInit(vitest: Vitest) {
      chosen = vitest.config.project;
    },
    onUserConsoleLog({ content }) {
      for (const line of content.split("\n")) if (line.startsWith(SKIPPED)) reasons.add(line);
    },
    onTestRunEnd() {
      const lines = [...reasons];
      if (chosen.includes("everyday") && !chosen.includes("thorough")) {
        const left = THOROUGH.map(({ what }) => what).join("; ");
        lines.push(`left out: tests ${left}. \`npm run test:all\` runs them`);
      }
      for (const line of lines) console.info(line);
    },
  };
}
