import { afterAll, beforeAll } from "vitest";
import { type Emulator, type EmulatorSource, isHad } from "./emulator-source.ts";

/** An emulator that runs while the tests of a file do. */
export interface EmulatorForTests {
  /** Whether what needs it can run. */
  isHad: boolean;
  /** `127.0.0.1:PORT`; throws before the tests begin, and where there is no emulator. */
  readonly host: string;
}

/** Starts it before the tests of this file, and stops it after them. */
export function emulatorForTests(source: EmulatorSource): EmulatorForTests {
  let running: Emulator | undefined;
  beforeAll(async () => {
    if (source.kind === "found") running = await source.start();
  });
  afterAll(() => running?.stop());
  return {
    isHad: isHad(source),
    get host() {
      if (running === undefined) throw new Error("there is no emulator");
      return running.host;
    },
  };
}
