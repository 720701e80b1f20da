import { isLoopbackHostAndPort } from "../../functions/src/config/formats.ts";
import type { Log } from "../../functions/src/platform/log.ts";
import type { Operator } from "./operator.ts";
import { type ExitCode, usageError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the program needs of the machine that it runs on. */
export interface Machine {
  env: Environment;
  terminal: Terminal;
  /**
   * Opens the store, and keys and services on demand, as functions with these settings do. Throws
   * `ConfigError`.
   */
  openOperator(log: Log, settings: Environment): Promise<Operator>;
  /** The person who runs the command, for the audit lines. */
  operatorName(): string;
}

/** One run of the program, as a command sees it. */
export interface Session extends Machine {
  /** Log lines of the functions' own code; they go to standard error. */
  log: Log;
  /** Whether to print the result as JSON, one object a line. */
  isJson(): boolean;
  /** Sets the exit code of a command that has printed its result; 0 unless it is set. */
  endWith(code: ExitCode): void;
}

/**
 * Returns the `host:port` of an emulator if this variable names one. Throws a usage error if it is
 * not on this machine, because commands send secrets there.
 */
export function readLoopbackHost(env: Environment, name: string): string | undefined {
  const host = env[name] || undefined;
  if (host !== undefined && !isLoopbackHostAndPort(host)) {
    throw usageError(`${name} must be host:port on loopback`);
  }
  return host;
}

/** Prints the result of a command, as JSON or as lines for people. */
export async function printResult(
  { terminal, isJson }: Session,
  result: object,
  lines: readonly string[],
): Promise<void> {
  await terminal.print(isJson() ? JSON.stringify(result) : lines.join("\n"));
}
