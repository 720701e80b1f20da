import { EXIT, type ExitCode } from "../errors.ts";
import type { Finding } from "./checks.ts";

const WORDS: Record<Finding["kind"], string> = {
  ok: "ok",
  warning: "warning",
  failed: "FAILED",
  unchecked: "could not check",
  absent: "",
};
const WORD_CHARACTERS = 15;

/** Returns the exit code for these findings. */
export function exitCodeOf(findings: readonly Finding[]): ExitCode {
  if (findings.some(({ kind }) => kind === "failed")) return EXIT.failed;
  return findings.some(({ kind }) => kind === "unchecked") ? EXIT.unclear : EXIT.done;
}

/**
 * Returns a line for each finding, followed by a line that fixes it. Absent things are only
 * counted.
 */
export function linesOf(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const indent = " ".repeat(WORD_CHARACTERS + width + 4);
  return findings.flatMap((finding) => {
    const head = `${WORDS[finding.kind].padEnd(WORD_CHARACTERS)}  ${finding.check.padEnd(width)}  `;
    switch (finding.kind) {
      case "ok":
        return [head + finding.said];
      case "absent":
        return [];
      case "unchecked":
        return [
          head + finding.said,
          ...(finding.fix === undefined ? [] : [`${indent}${finding.fix}`]),
        ];
      case "warning":
      case "failed":
        return finding.problems.flatMap(({ what, fix }) => [head + what, indent + fix]);
    }
  });
}

/** Returns the totals in one line. */
export function summaryOf(findings: readonly Finding[]): string {
  const kinds = ["ok", "warning", "failed", "unchecked", "absent"] as const;
  return kinds
    .map((kind) => [findings.filter((each) => each.kind === kind).length, kind] as const)
    .filter(([count]) => count > 0)
    .map(([count, kind]) => `${count} ${SUMMED[kind]}`)
    .join(", ");
}

const SUMMED: Record<Finding["kind"], string> = {
  ok: "ok",
  warning: "with a warning",
  failed: "failed",
  unchecked: "could not be checked",
  absent: "not on the local stack",
};
