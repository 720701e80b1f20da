import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { tokenKeys } from "../support/test-keys.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

/** The environment of whoever builds: everything that may be secret is set. */
const SECRETS = {
  OAUTH_CLIENT_SECRET: "GOCSPX-canary-client-secret-0001",
  TOKEN_KEYS: tokenKeys("canary"),
  RETURN_TO_SECRET: "canary-return-to-secret-0123456789abcdef",
  NOTICE_SMTP_URL: "smtps://canary:canary-smtp-password-0001@mail.example.com",
  OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=canary-key-of-the-collector-0001",
  GOOGLE_APPLICATION_CREDENTIALS: "/canary/home/of/the/builder/credentials.json",
  NPM_TOKEN: "npm_canaryTokenOfTheRegistry000000000001",
};

describe("T11: what is deployed", () => {
  let files: [name: string, text: string][];
  /** Others run what is in functions/dist at the same time. */
  let dist: string;

  beforeAll(() => {
    dist = mkdtempSync(path.join(tmpdir(), "bundle-secrets-"));
    const env = { ...process.env, ...SECRETS };
    const command = ["--import", "tsx", "functions/build.ts", dist];
    const built = spawnSync(process.execPath, command, { cwd: ROOT, env });
    if (built.status !== 0) throw new Error(String(built.stderr));
    files = readdirSync(dist, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.\w+$/.test(name))
      // The package of the emulator holds the secrets and keys of an emulated Google, and no others.
      .filter((name) => !name.startsWith("gmail-emulator/"))
      .map((name) => [name, readFileSync(path.join(dist, name), "utf8")]);
  });

  afterAll(() => rmSync(dist, { recursive: true }));

  it("T11: is two bundles with source maps, the files that start, rehearse and install them, the third-party notices, and nothing else", () => {
    const parts = [
      "THIRD-PARTY-NOTICES.txt",
      "functions.js",
      "functions.js.map",
      "index.cjs",
      "package-lock.json",
      "package.json",
      "rehearsal.js",
      "rehearsal.js.map",
      "sbom.cdx.json",
      "telemetry.js",
      "telemetry.js.map",
    ];
    // The package for subscribers is built beside them and is not deployed.
    const deployed = files.map(([name]) => name).filter((name) => !name.startsWith("subscriber/"));
    expect(deployed.toSorted()).toEqual(
      ["firebase", "gcloud"].flatMap((tool) => parts.map((part) => `${tool}/${part}`)),
    );
  });

  it("T11: contains nothing of the build environment or the tests", () => {
    const secrets = [...Object.values(SECRETS), DEFAULT_CLIENT.clientSecret];
    for (const [name, text] of files) {
      expect([name, findSecrets(text, secrets)]).toEqual([name, []]);
    }
  });

  it("T11: contains nothing that looks like a Google secret or a key", () => {
    const LOOKS = [
      /GOCSPX-[\w-]{10,}/,
      /\bya29\.[\w-]{10,}/,
      /\b1\/\/0[\w-]{20,}/,
      /\bAIza[\w-]{35}\b/,
      /-----BEGIN [A-Z ]*PRIVATE KEY-----(\\n|\s)+[A-Za-z0-9+/]{40}/,
      /"keys":\{"[\w-]+":"[A-Za-z0-9+/]{43}="/,
    ];
    for (const [name, text] of files) {
      expect([name, LOOKS.filter((look) => look.test(text))]).toEqual([name, []]);
    }
  });

  it("T11: has a source map without the sources", () => {
    for (const [name, text] of files.filter(([file]) => file.endsWith(".map"))) {
      const map = JSON.parse(text) as { sourcesContent?: unknown; sources: string[] };
      expect([name, map.sourcesContent]).toEqual([name, undefined]);
      expect(map.sources.filter((source) => path.isAbsolute(source))).toEqual([]);
    }
  });
});
