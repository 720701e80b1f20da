import type { TestProject } from "vitest/node";
import { findFirestoreEmulator } from "./firestore-emulator.ts";
import { findPubsubEmulator } from "./pubsub-emulator.ts";

declare module "vitest" {
  export interface ProvidedContext {
    firestoreHost: string | undefined;
    pubsubHost: string | undefined;
  }
}

const FIND = { firestoreHost: findFirestoreEmulator, pubsubHost: findPubsubEmulator } as const;

/**
 * Starts each emulator once for all files when a whole project of tests runs: the start takes
 * seconds. Files keep to projects of their own, so that they do not meet. A single file starts what
 * it needs itself.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!project.vitest.config.project.includes(project.name)) return async () => {};
  const started = await Promise.all(
    (["firestoreHost", "pubsubHost"] as const).map(async (name) => {
      const source = FIND[name]();
      if (source.kind === "missing") return undefined;
      const emulator = await source.start();
      project.provide(name, emulator.host);
      return emulator;
    }),
  );
  return async () => {
    await Promise.all(started.map((emulator) => emulator?.stop()));
  };
}
