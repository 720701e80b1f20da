import { afterAll, beforeAll, inject } from "vitest";
import { type Emulator, type EmulatorSource, isHad, runningEmulator } from "./emulator-source.ts";
import { findFirestoreEmulator } from "./firestore-emulator.ts";
import { findPubsubEmulator } from "./pubsub-emulator.ts";

/** An emulator that runs while the tests of a file do. */
export interface EmulatorForTests {
  /** Whether what needs it can run. */
  isHad: boolean;
  /** `127.0.0.1:PORT`; throws before the tests begin, and where there is no emulator. */
  readonly host: string;
}

/** The Firestore emulator of this run, or one for this file where only files are run. */
export function firestoreForTests(): EmulatorForTests {
  const host = inject("firestoreHost");
  return emulatorForTests(host === undefined ? findFirestoreEmulator() : runningEmulator(host));
}

/** The Pub/Sub emulator of this run, or one for this file where only files are run. */
export function pubsubForTests(): EmulatorForTests {
  const host = inject("pubsubHost");
  return emulatorForTests(host === undefined ? findPubsubEmulator() : runningEmulator(host));
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
