import { type Log, describeUnknown } from "./log.ts";

/** The console methods that libraries use for problems. */
export type Printing = Pick<Console, "error" | "warn">;

/**
 * Sends the console output of libraries through the log, as one record each. Express, which the
 * functions-framework uses, prints the error of a body that it cannot parse, with the whole body;
 * the framework prints the stack of everything that a function throws, with its message. Errors are
 * reduced to what may be logged ({@link describeUnknown}), stack text to class and frames; other
 * objects are dropped.
 */
export function logPrinting(console: Printing, log: Log): void {
  const describe = (printed: unknown[]) => ({ printed: printed.map(describePrinted) });
  console.error = (...printed: unknown[]) =>
    log.error("library_error", "a library printed an error", describe(printed));
  console.warn = (...printed: unknown[]) =>
    log.warn("library_warning", "a library printed a warning", describe(printed));
}

function describePrinted(printed: unknown): string {
  if (printed instanceof Error) return describeUnknown(printed);
  return typeof printed === "string" ? withoutMessage(printed) : describeType(printed);
}

const FRAME = /^ +at .+$/gm;
/** The part of an error's text before its message. */
const BEFORE_MESSAGE = /^.*?\b[A-Za-z]*(?:Error|Exception)\b(?=:)/s;

function withoutMessage(text: string): string {
  const frames = text.match(FRAME) ?? [];
  const beforeMessage = BEFORE_MESSAGE.exec(text)?.[0];
  // Not every error class has the word in its name.
  const head = beforeMessage ?? (frames.length > 0 ? /^[\w$]*/.exec(text)?.[0] : text);
  return [head, ...frames].join("\n");
}

function describeType(printed: unknown): string {
  return printed === null ? "null" : typeof printed;
}
