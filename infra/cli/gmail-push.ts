import { userInfo } from "node:os";
import { main } from "./main.ts";
import { processTerminal } from "./terminal.ts";

// A reader that has seen enough (`| head`) is not a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

process.exitCode = await main(process.argv.slice(2), {
  env: process.env,
  terminal: processTerminal(process),
  async openOperator(log, settings) {
    // Google's clients look for their emulators in the environment of the process.
    for (const [name, value] of Object.entries(settings)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    // The clients take a while to load, and few commands need them.
    const { openOperator } = await import("./open-operator.ts");
    return openOperator(log);
  },
  operatorName: () => userInfo().username,
});
