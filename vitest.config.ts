import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { reportLeftOut } from "./test/report-left-out.ts";
import { EMULATORS, filesAt, thoroughPaths } from "./test/suites.ts";

export default defineConfig({
  test: {
    // There is no metadata server here: Google's libraries look for one, and warn, unless told so.
    env: { METADATA_SERVER_DETECTION: "none" },
    // More workers than processors: many tests wait for other processes, or by the clock.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default", reportLeftOut()],
    projects: [
      {
        extends: true,
        test: {
          name: "everyday",
          include: ["test/**/*.test.ts"],
          exclude: filesAt([...thoroughPaths, ...EMULATORS]),
          // The files share the modules of a process: loading them takes longer than most files.
          isolate: false,
          restoreMocks: true,
          unstubEnvs: true,
        },
      },
      {
        extends: true,
        test: {
          name: "thorough",
          include: filesAt(thoroughPaths),
          globalSetup: "test/support/shared-emulators.ts",
          // Many start programs, which take several times as long on a busy machine.
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: "emulators",
          include: filesAt(EMULATORS),
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
