import { type GoogleEndpoints, googleEndpoints } from "../../../functions/src/google/endpoints.ts";
import { type Environment, readLoopbackHost } from "../session.ts";

/** Google's APIs, each by the first part of its host. */
const APIS = {
  cloudresourcemanager: "v3",
  serviceusage: "v1",
  cloudfunctions: "v2",
  run: "v2",
  pubsub: "v1",
  cloudscheduler: "v1",
  secretmanager: "v1",
  cloudkms: "v1",
  firestore: "v1",
  firebaserules: "v1",
  logging: "v2",
  artifactregistry: "v1",
  cloudbilling: "v1",
  cloudquotas: "v1",
  firebase: "v1beta1",
  orgpolicy: "v2",
} as const;

/** One of Google's APIs. */
export type Api = keyof typeof APIS;

/** The URLs that the doctor calls; all of them are derived from the environment, only here. */
export interface Endpoints {
  /** With the version of the API, without a trailing slash. */
  apis: Readonly<Record<Api, string>>;
  /** Firestore's documents, which have an emulator of their own. */
  documents: string;
  risc: string;
  google: GoogleEndpoints;
  /** False if an emulator replaces the cloud. */
  needsCredentials: boolean;
}

/**
 * Returns Google's own URLs, or those of emulators: `GOOGLE_CLOUD_EMULATOR_HOST` for all APIs of
 * the cloud, and the usual variables for Pub/Sub, Firestore's documents, Gmail and OAuth. Throws a
 * usage error for an emulator that is not on this machine.
 */
export function endpointsOf(env: Environment): Endpoints {
  const host = (name: string) => readLoopbackHost(env, name);
  const cloud = host("GOOGLE_CLOUD_EMULATOR_HOST");
  const pubsub = host("PUBSUB_EMULATOR_HOST");
  const firestore = host("FIRESTORE_EMULATOR_HOST");
  const gmail = host("GMAIL_EMULATOR_HOST");
  const at = (name: string, emulator: string | undefined, version: string) =>
    `${emulator === undefined ? `https://${name}.googleapis.com` : `http://${emulator}`}/${version}`;
  const apis = Object.fromEntries(
    Object.entries(APIS).map(([name, version]) => {
      const emulator = name === "pubsub" ? (pubsub ?? cloud) : cloud;
      return [name, at(name, emulator, version)];
    }),
  ) as Record<Api, string>;
  return {
    apis,
    documents: at("firestore", firestore ?? cloud, "v1"),
    risc: cloud === undefined ? "https://risc.googleapis.com" : `http://${cloud}`,
    google: googleEndpoints(gmail),
    needsCredentials: cloud === undefined,
  };
}
