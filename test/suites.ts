/** Tests that `npm test` leaves to `npm run test:all`, and why: folders end in a slash. */
export interface LeftOut {
  /** What they need or do, as it completes "left out: tests ...". */
  what: string;
  paths: readonly string[];
}

/**
 * A test that needs another program than Node, starts programs, waits by the clock or takes more
 * than about ten seconds is named here. Every other test is part of `npm test`.
 */
export const THOROUGH: readonly LeftOut[] = [
  {
    what: "of deploying, with gcloud's own code and the programs' processes",
    paths: [
      "test/deploy/doctor.test.ts",
      "test/deploy/firebase-discovery.test.ts",
      "test/deploy/gcloud.test.ts",
      "test/deploy/preflight.test.ts",
      "test/deploy/pubsub-push.test.ts",
      "test/deploy/release.test.ts",
      "test/deploy/remove.test.ts",
      "test/deploy/runbook.test.ts",
      "test/deploy/supply-chain.test.ts",
      "test/terraform/",
    ],
  },
  {
    what: "with an emulator of Firestore or Pub/Sub",
    paths: [
      "test/contract/",
      "test/operator/drills/changes-topic.test.ts",
      "test/operator/drills/restore.test.ts",
      "test/subscriber/once.test.ts",
    ],
  },
  { what: "in a browser", paths: ["test/browser/"] },
  {
    what: "with thousands of generated inputs or faults",
    paths: [
      "test/abuse/",
      "test/security-events/fuzz.test.ts",
      "test/security/key-rotation.test.ts",
      "test/security/secrets.test.ts",
      "test/simulation/crash-points.test.ts",
      "test/simulation/focus.test.ts",
    ],
  },
  {
    what: "of programs in processes of their own",
    paths: [
      "test/checker/recorded-run.test.ts",
      "test/examples/",
      "test/gmail-emulator/package.test.ts",
      "test/gmail-api/imap.test.ts",
      "test/gmail-api/python-client.test.ts",
      "test/local/local-stack.test.ts",
      "test/operator/keys.test.ts",
      "test/operator/risc.test.ts",
      "test/scale/",
      "test/subscriber/package.test.ts",
      "test/subscriber/schemas.test.ts",
    ],
  },
  { what: "that wait by the clock", paths: ["test/unit/key-management.test.ts"] },
];

/** The built functions in the emulators of the Firebase CLI and the gcloud SDK, after a build. */
export const EMULATORS: readonly string[] = ["test/emulators/", "test/storm/"];

/** The globs of test files at these paths. */
export function filesAt(paths: readonly string[]): string[] {
  return paths.map((path) => (path.endsWith("/") ? `${path}**/*.test.ts` : path));
}

export const thoroughPaths = THOROUGH.flatMap(({ paths }) => paths);
