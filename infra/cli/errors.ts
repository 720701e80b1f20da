/**
 * How the program ends. Every command uses this one table:
 *
 * - `done`: the command did what it was asked; for the doctor, nothing is wrong (there may be warnings).
 * - `failed`: it did not, or not all of it; for the doctor, something is wrong; for `keys verify`, an
 *   older key is still needed.
 * - `usage`: the command or the configuration is wrong, and nothing was done.
 * - `unclear`: the doctor knows of nothing wrong, but could not check everything.
 */
export const EXIT = { done: 0, failed: 1, usage: 2, unclear: 3 } as const;
/** One of the codes of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

interface Details {
  exitCode?: ExitCode;
  /** The command or the place that fixes the problem. */
  fix?: string | undefined;
  /** The HTTP status, if Google answered with an error. */
  status?: number;
}

/**
 * Thrown by a command that cannot do its work. The message is for people and contains no secret.
 */
export class CommandError extends Error {
  override name = "CommandError";
  readonly exitCode: ExitCode;
  readonly fix?: string;
  readonly status?: number;

  constructor(message: string, { exitCode = EXIT.failed, fix, status }: Details = {}) {
    super(message);
    this.exitCode = exitCode;
    if (fix !== undefined) this.fix = fix;
    if (status !== undefined) this.status = status;
  }
}

/** Returns the error of a command that was used incorrectly or has a wrong configuration. */
export function usageError(message: string): CommandError {
  return new CommandError(message, { exitCode: EXIT.usage });
}
