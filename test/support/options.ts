import { type ParseArgsConfig, parseArgs } from "node:util";

/**
 * Returns the options of this program's command line. Ends the program with its usage at `--help`,
 * and with 2 at an option that it does not have.
 */
export function readOptions<T extends ParseArgsConfig>(
  usage: string,
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    if (process.argv.slice(2).includes("--help")) {
      console.log(usage);
      process.exit(0);
    }
    return parseArgs(config);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}
