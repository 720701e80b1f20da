/** Where a command writes, and whom it can ask. */
export interface Terminal {
  /** One line of the result. Resolves once it is taken, so that a slow reader slows us down. */
  print(line: string): Promise<void>;
  /** One line beside the result. */
  note(line: string): void;
  /** Replaces what it showed last; shown to people only, nothing of it stays. */
  status(text: string): void;
  /** Somebody is there to answer. */
  isInteractive: boolean;
  ask(question: string): Promise<string>;
}

/** A command that cannot do what it was asked to. The message is for people, without a secret. */
export class CannotDo extends Error {
  override name = "CannotDo";
}

/** The command was not given as it has to be. */
export class WrongUsage extends Error {
  override name = "WrongUsage";
}

/**
 * The text on one line that draws nothing on a terminal: control characters, invisible ones and
 * what turns the direction of writing appear as `\uXXXX`, which in JSON is the same text.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

/** A long time is told by its largest unit. */
export function duration(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
  ] as const;
  const [name, size] = units.find(([, unitMs]) => ms >= 2 * unitMs) ?? ["s", 1_000];
  return `${Math.floor(ms / size)} ${name}`;
}

/** What takes no longer is over before anybody wonders. */
const SILENT_MS = 2_000;
const NOTED_EVERY_MS = 10_000;

/** Tells how far a long command is: at once where somebody looks, else after a while, in lines. */
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
      const text = `${total} ${what}...`;
      if (terminal.isInteractive) return terminal.status(text);
      if (now().getTime() < noteAt) return;
      noteAt = now().getTime() + NOTED_EVERY_MS;
      terminal.note(text);
    },
    end() {
      if (terminal.isInteractive) terminal.status("");
    },
  };
}
