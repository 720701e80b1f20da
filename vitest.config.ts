import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // There is no metadata server here: Google's libraries look for one, and warn, unless told so.
    env: { METADATA_SERVER_DETECTION: "none" },
    include: ["test/**/*.test.ts"],
    exclude: ["test/{emulators,storm}/**"],
    // Vitest leaves one processor free; these tests wait for other processes most of the time.
    maxWorkers: "100%",
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
