import { CommandError, EXIT } from "../errors.ts";
import { shellWord } from "../shell.ts";

/** One thing that is wrong, and the command or the place that mends it. */
export interface Problem {
  what: string;
  fix: string;
}

/** What became of one check. */
export type Result =
  | { kind: "ok"; said: string }
  /** It works, but not as it was meant to, or not for long. */
  | { kind: "warning"; problems: readonly Problem[] }
  | { kind: "failed"; problems: readonly Problem[] }
  /** Nobody can tell from here; it may be right or wrong. */
  | { kind: "unchecked"; said: string; fix?: string }
  /** There is no such thing where we look. */
  | { kind: "absent"; said: string };

/**
 * A check throws it when it cannot see what it needs: what it asks about is then neither right nor
 * wrong. `status` is the HTTP status of an error that Google answered with.
 */
export class Unchecked extends CommandError {
  override name = "Unchecked";

  constructor(message: string, { fix, status }: { fix?: string; status?: number } = {}) {
    super(message, { exitCode: EXIT.unclear, fix, ...(status !== undefined && { status }) });
  }
}

export function ok(said: string): Result {
  return { kind: "ok", said };
}

export function failed(what: string, fix: string): Result {
  return { kind: "failed", problems: [{ what, fix }] };
}

export function warning(what: string, fix: string): Result {
  return { kind: "warning", problems: [{ what, fix }] };
}

/** `ok` when nothing is wrong. */
export function unlessAny(problems: readonly Problem[], said: string): Result {
  return problems.length > 0 ? { kind: "failed", problems } : ok(said);
}

/** A gcloud command for a project, quoted for a shell. */
export function gcloud(project: string, ...words: readonly string[]): string {
  return ["gcloud", ...words, `--project=${project}`].map(shellWord).join(" ");
}
