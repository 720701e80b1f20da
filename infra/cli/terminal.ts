import { createInterface } from "node:readline/promises";
import { text } from "node:stream/consumers";

/** Where a command reads and writes, and asks. */
export interface Terminal {
  /**
   * Prints a part of the result. Resolves once it is written, so that a slow reader slows the
   * command.
   */
  print(text: string): Promise<void>;
  /** Prints what is not part of the result: progress, a log line, an error. */
  note(text: string): void;
  /** Replaces the last status. Only a person sees it, and nothing of it stays. */
  status(text: string): void;
  /** Whether a person can answer {@link ask}. */
  isInteractive: boolean;
  ask(question: string): Promise<string>;
  /** Returns all of standard input; `what` tells a person what to type. */
  readInput(what: string): Promise<string>;
}

/** Returns the terminal, or the pipes, of this process. */
export function processTerminal({ stdin, stdout, stderr }: NodeJS.Process): Terminal {
  let shownStatus = "";

  /** Moves to the start of the line and clears it first. */
  function status(line: string): void {
    if (line !== shownStatus) stderr.write(`\r\u001B[2K${line}`);
    shownStatus = line;
  }
  function note(line: string): void {
    status("");
    stderr.write(`${line}\n`);
  }

  return {
    print(line) {
      status("");
      return new Promise((resolve) => void stdout.write(`${line}\n`, () => resolve()));
    },
    note,
    status,
    isInteractive: stdin.isTTY === true && stderr.isTTY === true,
    async ask(question) {
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return await lines.question(question);
      } finally {
        lines.close();
      }
    },
    readInput(what) {
      if (stdin.isTTY) note(`${what}, then Ctrl-D:`);
      return text(stdin);
    },
  };
}

/**
 * Returns a terminal that escapes control characters: addresses, reasons and Google's responses
 * come from outside.
 */
export function escaping(terminal: Terminal): Terminal {
  return {
    ...terminal,
    print: (lines) => terminal.print(eachLine(lines)),
    note: (lines) => terminal.note(eachLine(lines)),
    status: (line) => terminal.status(printable(line)),
    ask: (question) => terminal.ask(printable(question)),
  };
}

function eachLine(lines: string): string {
  return lines.split("\n").map(printable).join("\n");
}

/**
 * Returns the text on one line without terminal control: control characters, invisible characters
 * and those that change the direction of writing become `\uXXXX`, which means the same in JSON.
 */
function printable(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

/** Returns a long time in whole units, in the largest unit of which there are two. */
export function duration(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
  ] as const;
  const [name, size] = units.find(([, unitMs]) => ms >= 2 * unitMs) ?? ["s", 1_000];
  return `${Math.floor(ms / size)} ${name}`;
}

/** A command that finishes sooner logs no progress. */
const SILENT_MS = 2_000;
const NOTED_EVERY_MS = 10_000;

/**
 * Shows the progress of a long command: at once to a person, otherwise after a while, line by line.
 */
export function progress(
  what: string,
  terminal: Terminal,
  now: () => Date,
): { add(count: number): void; end(): void } {
  let total = 0;
  let noteAt = now().getTime() + SILENT_MS;
  return {
    add(count) {
      total += count;
      const line = `${total} ${what}...`;
      if (terminal.isInteractive) return terminal.status(line);
      if (now().getTime() < noteAt) return;
      noteAt = now().getTime() + NOTED_EVERY_MS;
      terminal.note(line);
    },
    end() {
      if (terminal.isInteractive) terminal.status("");
    },
  };
}
