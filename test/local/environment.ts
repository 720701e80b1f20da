import { randomBytes } from "node:crypto";
import settings from "../../functions/src/entries/functions.json" with { type: "json" };
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";

export const PROJECT = "demo-gmail-push";

export type FunctionName = keyof typeof settings;
export const FUNCTIONS = Object.keys(settings) as FunctionName[];

/** What a deployment has to be told: the client of the Gmail emulator, and a key ring of its own. */
export function requiredEnv(projectId = PROJECT, publicUrl = "http://127.0.0.1:8080") {
  return {
    GOOGLE_CLOUD_PROJECT: projectId,
    GMAIL_TOPIC: `projects/${projectId}/topics/gmail-notifications`,
    CHANGES_TOPIC: "mailbox-changes",
    PUBLIC_URL: publicUrl,
    OAUTH_CLIENT_ID: DEFAULT_CLIENT.clientId,
    OAUTH_CLIENT_SECRET: DEFAULT_CLIENT.clientSecret,
    TOKEN_KEYS: makeTokenKeys(),
  };
}

/** For tests that send from one address what comes from many. */
export const UNLIMITED = {
  PAGES_PER_MINUTE: "1000000",
  CODE_EXCHANGES_PER_MINUTE: "1000000",
  FAILED_EXCHANGES_PER_MINUTE: "1000000",
  REFUSED_EVENTS_PER_MINUTE: "1000000",
};

/** A key ring made at start: what it seals lives no longer than this process. */
export function makeTokenKeys(): string {
  const key = randomBytes(32).toString("base64");
  return JSON.stringify({ primary: "local", keys: { local: key } });
}
