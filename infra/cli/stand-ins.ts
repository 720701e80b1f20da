import { type Config, readConfig } from "../../functions/src/config/config.ts";
import { SECRETS } from "./functions.ts";
import type { Environment } from "./session.ts";

/** Values that pass every check, for secrets whose value is not known. */
const STAND_INS: Readonly<Record<string, string>> = {
  OAUTH_CLIENT_SECRET: "secret",
  TOKEN_KEYS: "wrapped/",
  NOTICE_SMTP_URL: "smtps://localhost",
  RETURN_TO_SECRET: "s".repeat(32),
};

/** Returns a value for this secret that fits these settings; `none` for an optional secret. */
export function standInFor(secret: string, settings: Environment): string {
  // Mail needs both NOTICE_SMTP_URL and NOTICE_FROM, or neither.
  if (secret === "NOTICE_SMTP_URL" && !settings["NOTICE_FROM"]) return "none";
  return STAND_INS[secret] ?? "none";
}

/** Returns the settings with a stand-in for every secret. */
export function withStandIns(settings: Environment): Environment {
  const secrets = SECRETS.map((name) => [name, standInFor(name, settings)]);
  return { ...settings, ...Object.fromEntries(secrets) };
}

/** Returns the configuration of a receiver with only the required settings: the defaults. */
export function defaultConfig(): Config {
  return readConfig(
    withStandIns({
      GOOGLE_CLOUD_PROJECT: "stand-in-project",
      GMAIL_TOPIC: "projects/stand-in-project/topics/gmail-notifications",
      CHANGES_TOPIC: "mailbox-changes",
      PUBLIC_URL: "https://stand-in.example",
      OAUTH_CLIENT_ID: "1-stand-in.apps.googleusercontent.com",
      TOKEN_KEYS_KMS_KEY:
        "projects/stand-in-project/locations/global/keyRings/stand-in/cryptoKeys/stand-in",
    }),
  );
}
