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

/** The exit code that these findings come to. */
export function exitCodeOf(findings: readonly Finding[]): ExitCode {
  if (findings.some(({ kind }) => kind === "failed")) return EXIT.failed;
  return findings.some(({ kind }) => kind === "unchecked") ? EXIT.unclear : EXIT.done;
}

/** A line for each thing that was found, and one below it for what mends it. What is absent is only counted. */
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

/** The sum of all, in one line. */
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
