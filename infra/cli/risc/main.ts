import { riscCommand } from "./command.ts";

/** What Google answers cannot draw on the terminal. */
const visible = (line: string) => line.replaceAll(/[^\P{C}\n]/gu, "?");

process.exitCode = await riscCommand(process.argv.slice(2), {
  env: process.env,
  say: (line) => void process.stdout.write(`${visible(line)}\n`),
  complain: (line) => void process.stderr.write(`${visible(line)}\n`),
});
