import { CommandError, EXIT } from "../errors.ts";
import { shellWord } from "../shell.ts";

/** One problem, and the command or the place that fixes it. */
export interface Problem {
  what: string;
  fix: string;
}

/** What one check says. */
export type Verdict =
  | { kind: "ok"; said: string }
  /** It works, but not as intended, or not for long. */
  | { kind: "warning"; problems: readonly Problem[] }
  | { kind: "failed"; problems: readonly Problem[] }
  /** Unknown from here: it may be right or wrong. */
  | { kind: "unchecked"; said: string; fix?: string }
  /** The thing does not exist in this deployment. */
  | { kind: "absent"; said: string };

/**
 * Thrown by a check that cannot see what it needs: the thing is then neither right nor wrong.
 * `status` is the HTTP status of Google's error response.
 */
export class Unchecked extends CommandError {
  override name = "Unchecked";

  constructor(message: string, { fix, status }: { fix?: string; status?: number } = {}) {
    super(message, { exitCode: EXIT.unclear, fix, ...(status !== undefined && { status }) });
  }
}

/** Returns the verdict of a check that found nothing wrong. */
export function passed(said: string): Verdict {
  return { kind: "ok", said };
}

/** Returns a failed verdict with one problem and its fix. */
export function failed(what: string, fix: string): Verdict {
  return { kind: "failed", problems: [{ what, fix }] };
}

/** Returns a warning with one problem and its fix. */
export function warning(what: string, fix: string): Verdict {
  return { kind: "warning", problems: [{ what, fix }] };
}

/** Returns a failed verdict if there are problems, else a passed one. */
export function unlessAny(problems: readonly Problem[], said: string): Verdict {
  return problems.length > 0 ? { kind: "failed", problems } : passed(said);
}

/** Returns a gcloud command for a project, quoted for a shell. */
export function gcloud(project: string, ...words: readonly string[]): string {
  return ["gcloud", ...words, `--project=${project}`].map(shellWord).join(" ");
}
