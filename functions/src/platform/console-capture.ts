import { type Log, describeUnknown } from "./log.ts";

/** The part of a console that libraries print with when something is wrong. */
export type Printing = Pick<Console, "error" | "warn">;

/**
 * Has what libraries print come through the log, as one record each. Express, which the
 * functions-framework serves with, prints the error of a body that it cannot read, and with it the
 * whole body; the framework prints the stack of whatever a function throws, and with it the
 * message. Of an error this keeps what may be logged of it ({@link describeUnknown}), of the text
 * of one its class and its frames, of any other object nothing.
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
/** Of an error as text: whatever stands before its message. */
const BEFORE_MESSAGE = /^.*?\b[A-Za-z]*(?:Error|Exception)\b(?=:)/s;

function withoutMessage(text: string): string {
  const frames = text.match(FRAME) ?? [];
  const beforeMessage = BEFORE_MESSAGE.exec(text)?.[0];
  // Not every class of errors has the word in its name.
  const head = beforeMessage ?? (frames.length > 0 ? /^[\w$]*/.exec(text)?.[0] : text);
  return [head, ...frames].join("\n");
}

function describeType(printed: unknown): string {
  return printed === null ? "null" : typeof printed;
}
