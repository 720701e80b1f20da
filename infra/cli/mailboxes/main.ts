import { userInfo } from "node:os";
import { createInterface } from "node:readline/promises";
import { openOperator } from "../../../functions/src/services.ts";
import { runMailboxes } from "./command.ts";
import type { Terminal } from "../terminal.ts";

/** `npm run mailboxes -- <command>`: the operator's view of the mailboxes. Never deployed. */

const { stdin, stdout, stderr } = process;

// A reader that has seen enough (`| head`) is not a failure.
stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

let shownStatus = "";

/** Goes to the start of the line, and leaves nothing of what stood there. */
function status(text: string): void {
  if (text !== shownStatus) stderr.write(`\r\u001B[2K${text}`);
  shownStatus = text;
}

const terminal: Terminal = {
  status,
  print(line) {
    status("");
    return new Promise((resolve) => void stdout.write(`${line}\n`, () => resolve()));
  },
  note(line) {
    status("");
    stderr.write(`${line}\n`);
  },
  isInteractive: stdin.isTTY === true && stderr.isTTY === true,
  async ask(question) {
    const lines = createInterface({ input: stdin, output: stderr });
    try {
      return await lines.question(question);
    } finally {
      lines.close();
    }
  },
};

process.exitCode = await runMailboxes(process.argv.slice(2), {
  terminal,
  open: openOperator,
  operatorName: userInfo().username,
});
