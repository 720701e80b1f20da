import { defineConfig } from "vitest/config";

/** What runs over the wire, in the emulators of the Firebase CLI and the gcloud SDK. */
export default defineConfig({
  test: {
    // There is no metadata server here: Google's libraries look for one, and warn, unless told so.
    env: { METADATA_SERVER_DETECTION: "none" },
    include: ["test/{emulators,storm}/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
