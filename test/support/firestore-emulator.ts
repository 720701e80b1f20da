import { randomBytes } from "node:crypto";
import { Firestore } from "@google-cloud/firestore";
import {
  type Emulator,
  type EmulatorSource,
  findInGcloudSdk,
  javaVersion,
  launchedEmulator,
  runningEmulator,
} from "./emulator-source.ts";
import { firebaseEmulator } from "./firebase-cli.ts";

/** The oldest Java with which the Firebase CLI runs emulators. */
const FIREBASE_JAVA_MIN = 21;

/**
 * The Firestore emulator: the one that `FIRESTORE_EMULATOR_HOST` names, else the gcloud SDK's, else
 * the one that the Firebase CLI downloads.
 */
export function findFirestoreEmulator(): EmulatorSource {
  const host = process.env["FIRESTORE_EMULATOR_HOST"];
  if (host) return runningEmulator(host);
  const java = javaVersion();
  const launcher = findInGcloudSdk("platform/cloud-firestore-emulator/cloud_firestore_emulator");
  if (launcher !== undefined && java > 0) {
    return launchedEmulator(launcher, (port) => ["start", "--host=127.0.0.1", `--port=${port}`]);
  }
  if (java >= FIREBASE_JAVA_MIN) return firebaseEmulator("firestore");
  return {
    kind: "missing",
    why:
      "there is no Firestore emulator: set FIRESTORE_EMULATOR_HOST, or install Java and " +
      "`gcloud components install cloud-firestore-emulator`, or Java 21 for the Firebase CLI's",
  };
}

/** A database of the emulator: an empty one of its own, unless a project is named. */
export function openDatabase(
  { host }: Pick<Emulator, "host">,
  projectId?: string,
  databaseId = "(default)",
): Firestore {
  return new Firestore({
    projectId: projectId ?? `demo-${randomBytes(6).toString("hex")}`,
    databaseId,
    host,
    ssl: false,
    // The emulator's word for the server's own access, past the security rules.
    customHeaders: { Authorization: "Bearer owner" },
  });
}

/** Everything that is stored, collections below documents too, by path. */
export async function dumpDatabase(database: Firestore): Promise<Record<string, unknown>> {
  const dump: Record<string, unknown> = {};
  const collections = await database.listCollections();
  for (const collection of collections) {
    for (const document of (await collection.get()).docs) {
      dump[document.ref.path] = document.data();
      collections.push(...(await document.ref.listCollections()));
    }
  }
  return dump;
}
