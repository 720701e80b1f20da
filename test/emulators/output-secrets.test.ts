import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type FunctionName, requiredEnv } from "../local/environment.ts";
import { tokenKeys } from "../support/test-keys.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { type ServedFunction, serveFunction } from "./framework-cli.ts";

/**
 * L3, L6: the built folders in processes of their own, as the buildpack starts them. What they
 * print, on either stream, and what they answer holds nothing of what they were given, also where
 * Express and the functions-framework act before or instead of our code.
 */

const DIST = path.resolve(import.meta.dirname, "../../functions/dist");
const ARRIVAL = { timeout: 20_000, interval: 50 };
const TOKEN = "1//0gMarkedRefreshToken-in-a-process-of-its-own_0001";
const SECRETS = {
  OAUTH_CLIENT_SECRET: "GOCSPX-marked-client-secret-0001",
  TOKEN_KEYS: tokenKeys("marked"),
  RETURN_TO_SECRET: "marked-return-to-secret-0123456789abcdef",
  NOTICE_SMTP_URL: "smtps://marked:marked-smtp-password-0001@mail.example.com",
  OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=marked-key-of-the-collector-0001",
};
const ENV = {
  ...requiredEnv(),
  ...SECRETS,
  RETURN_TO_URLS: "https://app.example.com/done",
  NOTICE_FROM: "sync@app.example.com",
  FIRESTORE_EMULATOR_HOST: "127.0.0.1:1",
  PUBSUB_EMULATOR_HOST: "127.0.0.1:1",
};
const ALL = [TOKEN, ...Object.values(SECRETS)];

/**
 * A bug somewhere in the process: a request for this path dies of it, outside of every handler. Its
 * source is its address, which frames name, so it takes what it tells from the environment.
 */
const BUG = `
  import { subscribe } from "node:diagnostics_channel";
  subscribe("http.server.request.start", ({ request: { url } }) => {
    const { OAUTH_CLIENT_SECRET: data } = process.env;
    const bug = () => Object.assign(new Error("failed with " + data), { config: { data } });
    if (url === "/rejected") setImmediate(() => void Promise.reject(bug()));
    if (url === "/thrown") setImmediate(() => { throw bug(); });
  });`;

let served: ServedFunction | undefined;
afterEach(async () => {
  await served?.stop();
  served = undefined;
});

async function serve(
  folder: string,
  env: Record<string, string>,
  target: FunctionName = "connect",
): Promise<ServedFunction> {
  served = await serveFunction({
    node: process.execPath,
    source: path.join(DIST, folder),
    target,
    env,
  });
  return served;
}

/** Neither where our code is nor a word of an error. */
async function expectSilent(response: Response): Promise<void> {
  const text = `${[...response.headers].join("\n")}\n${await response.text()}`;
  expect(text).not.toMatch(/node_modules|\bat .+:\d+|Error:|file:|\.js\b/);
  expect(findSecrets(text, ALL)).toEqual([]);
}

describe.each(["gcloud", "firebase"])("the %s folder in the functions-framework", (folder) => {
  it.each([{}, { NODE_ENV: "development" }])(
    "L6: answers what nobody can read without a stack, and prints nothing of it: %j",
    async (own) => {
      for (const target of ["connect", "gmailNotification"] as const) {
        const { url, output, records, stop } = await serve(folder, { ...ENV, ...own }, target);
        // There no parser comes before ours.
        const isAcknowledged = folder === "gcloud" && target === "gmailNotification";
        const body = `{"refresh_token":"${TOKEN}`;
        for (const type of ["application/json", "application/cloudevents+json"]) {
          const headers = { "content-type": type };
          const answer = await fetch(url, { method: "POST", headers, body });
          expect(answer.status).toBe(isAcknowledged ? 204 : 400);
          await expectSilent(answer);
        }
        const answer = await fetch(`${url}/%x${TOKEN}`, { method: "POST" });
        expect(answer.status).toBe(400);
        await expectSilent(answer);
        const printed = () => records("library_error").map((record) => record["printed"]);
        // Beside what the framework makes of the request by which we found it ready.
        const parsers = isAcknowledged ? [] : [["SyntaxError"], ["SyntaxError"]];
        const classes = [...parsers, ["URIError"]];
        await vi.waitFor(() => expect(printed().slice(-classes.length)).toEqual(classes), ARRIVAL);
        expect(records("notification_malformed")).toHaveLength(isAcknowledged ? 2 : 0);
        expect(findSecrets(output(), ALL)).toEqual([]);
        await stop();
      }
    },
  );

  it.each(["rejected", "thrown"])(
    "L6: dies of what nobody catches with its class and its frames in the log: %s",
    async (way) => {
      const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(BUG)}`;
      const { url, output, records } = await serve(folder, { ...ENV, NODE_OPTIONS });
      const answer = await fetch(`${url}/${way}`).catch(() => undefined);
      if (answer !== undefined) await expectSilent(answer);
      const says = () => JSON.stringify(records("library_error"));
      await vi.waitFor(() => expect(says()).toMatch(/Error\\n +at /), ARRIVAL);
      expect(says()).toMatch(/Uncaught exception|Unhandled rejection/);
      expect(findSecrets(output(), ALL)).toEqual([]);
    },
  );

  it("L3: names what is wrong with its configuration, without its values", async () => {
    const broken = {
      ...ENV,
      GMAIL_TOPIC: TOKEN,
      PUBLIC_URL: `ftp://${TOKEN}`,
      TOKEN_KEYS: SECRETS.TOKEN_KEYS.replace('="', '"'),
      NOTICE_SMTP_URL: "http://marked:marked-smtp-password-0001@mail.example.com",
      SYNC_PAGES_MAX: TOKEN,
    };
    for (const target of ["connect", "watchRenewal"] as const) {
      const { url, output, records, stop } = await serve(folder, broken, target);
      const answer = await fetch(url, { method: "POST" });
      expect(answer.status).toBe(500);
      await expectSilent(answer);
      const found = () => records("config_invalid");
      await vi.waitFor(() => expect(found().length).toBeGreaterThan(0), ARRIVAL);
      expect(found()[0]?.["problems"]).toHaveLength(5);
      expect(findSecrets(output(), [...ALL, "marked-smtp-password-0001"])).toEqual([]);
      await stop();
    }
  });
});
