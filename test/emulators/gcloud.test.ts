import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import type { PubSub } from "@google-cloud/pubsub";
import type { Firestore } from "@google-cloud/firestore";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  DEFAULT_CLIENT,
  type GmailEmulator,
  startGmailEmulator,
} from "../gmail-emulator/emulator.ts";
import { notificationData } from "../gmail-emulator/notifications.ts";
import { eventRequest } from "../gmail-emulator/push.ts";
import { FUNCTIONS, type FunctionName, requiredEnv } from "../local/environment.ts";
import { localIdToken } from "../local/id-token.ts";
import { type Browser, openBrowser, throughGoogle } from "../support/browser.ts";
import { firestoreForTests, pubsubForTests } from "../support/emulator-for-tests.ts";
import { isHad } from "../support/emulator-source.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { dumpDatabase, openDatabase } from "../support/firestore-emulator.ts";
import { type ServedFunction, findNode, serveFunction } from "./framework-cli.ts";
import { freePort } from "../support/program.ts";
import { type Subscriber, openPubsub, subscribe } from "../support/pubsub-emulator.ts";
import { type TcpProxy, startTcpProxy } from "../support/tcp-proxy.ts";

const DIST = fileURLToPath(new URL("../../functions/dist", import.meta.url));
const SOURCE = path.join(DIST, "gcloud");

const ARRIVAL = { timeout: 20_000, interval: 50 };

describe("the built folders", () => {
  const readJson = (file: string) => JSON.parse(readFileSync(path.join(DIST, file), "utf8"));

  it("make gcloud install only the functions-framework", () => {
    const { dependencies } = readJson("../../package.json");
    const name = "@google-cloud/functions-framework";
    expect(readJson("gcloud/package.json")).toMatchObject({
      type: "commonjs",
      main: "index.cjs",
      dependencies: { [name]: dependencies[name] },
    });
    expect(Object.keys(readJson("gcloud/package.json").dependencies)).toEqual([name]);
  });

  it("make the Firebase CLI install nothing", () => {
    expect(readJson("firebase/package.json").dependencies).toEqual({});
  });

  it.each(["gcloud", "firebase"])("hold only functions/src and packages: %s", (tool) => {
    const { sources } = readJson(`${tool}/functions.js.map`) as { sources: string[] };
    const root = path.resolve(DIST, "../..");
    const files = sources.map((source) => path.relative(root, path.resolve(DIST, tool, source)));
    expect(files).toContain("functions/src/receiver.ts");
    expect(files.filter((file) => !/^(functions\/src|node_modules)\//.test(file))).toEqual([]);
  });
});

const firestore = firestoreForTests();
const pubsubEmulator = pubsubForTests();
const areEmulatorsHad = firestore.isHad && pubsubEmulator.isHad;

/** The folder as `gcloud functions deploy` uploads it, one process for each function. */
describe.skipIf(!areEmulatorsHad)("the gcloud folder in the functions-framework", () => {
  describe.each([20, 24])("on Node %i", (major) => {
    const node = findNode(major);

    describe.skipIf(!isHad(node))("serves", () => {
      const projectId = `demo-gcloud-node${major}`;
      const topic = `projects/${projectId}/topics/gmail-notifications`;
      let emulator: GmailEmulator;
      let database: Firestore;
      let pubsub: PubSub;
      let subscriber: Subscriber;
      let toFirestore: TcpProxy;
      let env: Record<string, string>;
      let publicUrl: string;
      const functions = {} as Record<FunctionName, ServedFunction>;

      beforeAll(async () => {
        const port = await freePort();
        publicUrl = `http://127.0.0.1:${port}`;
        emulator = await startGmailEmulator({
          projectId,
          clients: [{ ...DEFAULT_CLIENT, projectId, redirectUris: [`${publicUrl}/callback`] }],
        });
        database = openDatabase(firestore, projectId, "gmail-push");
        pubsub = openPubsub(pubsubEmulator, projectId);
        subscriber = await subscribe(pubsub, "mailbox-changes");
        toFirestore = await startTcpProxy(firestore.host);
        env = {
          ...requiredEnv(projectId, publicUrl),
          FIRESTORE_DATABASE: "gmail-push",
          GMAIL_EMULATOR_HOST: emulator.host,
          FIRESTORE_EMULATOR_HOST: toFirestore.host,
          PUBSUB_EMULATOR_HOST: pubsubEmulator.host,
        };
        for (const name of FUNCTIONS) {
          functions[name] = await serve(name, env, name === "connect" ? { port } : {});
        }
      });
      afterAll(async () => {
        await Promise.all(Object.values(functions).map((served) => served.stop()));
        await subscriber?.close();
        await Promise.all([pubsub?.close(), database?.terminate()]);
        await Promise.all([toFirestore?.close(), emulator?.close()]);
      });

      function serve(
        target: FunctionName,
        own: Record<string, string>,
        options: { port?: number } = {},
      ): Promise<ServedFunction> {
        if (node.kind === "missing") throw new Error(node.why);
        return serveFunction({
          node: node.path,
          source: SOURCE,
          target,
          env: own,
          ...options,
        });
      }

      async function connect(email: string): Promise<{ id: string; browser: Browser }> {
        const { sub } = emulator.createAccount({ email });
        const browser = openBrowser();
        const start = await browser.get(`${publicUrl}/start`);
        expect(start.status).toBe(303);
        const { status } = await throughGoogle(emulator, browser, start, { account: email });
        expect(status).toBe(200);
        return { id: sub, browser };
      }

      const published = (id: string) =>
        subscriber.received
          .filter(({ orderingKey }) => orderingKey === id)
          .flatMap(({ json }) => json["messageId"] ?? []);

      it("a notification: the change is published, then the checkpoint written, then 204", async () => {
        const email = "ada@example.com";
        const { id } = await connect(email);
        const { messageId } = emulator.deliver(email, { subject: "one" });
        const { historyId } = emulator.account(email);
        const { url, records } = functions.gmailNotification;
        expect(await notify(url, topic, email, historyId)).toBe(204);
        expect(records("instance_started")).toMatchObject([{ heapLimitMib: expect.any(Number) }]);

        await vi.waitFor(() => expect(published(id)).toEqual([messageId]), ARRIVAL);
        const user = (await database.doc(`users/${id}`).get()).data();
        expect(user?.["sync"]).toMatchObject({
          notifiedHistoryId: historyId,
          recent: [{ historyId }],
        });
        const caughtUp = { outcome: "caught_up", changes: 1 };
        await vi.waitFor(
          () => expect(records("mailbox_synced")).toMatchObject([caughtUp]),
          ARRIVAL,
        );

        expect(await notify(url, topic, email, historyId)).toBe(204);
        const again = [caughtUp, { outcome: "stale" }];
        await vi.waitFor(() => expect(records("mailbox_synced")).toMatchObject(again), ARRIVAL);
        expect(published(id)).toEqual([messageId]);
      });

      it("a malformed notification: it is dropped, not redelivered", async () => {
        const { url, records } = functions.gmailNotification;
        expect(await notify(url, topic, "not an address", "1")).toBe(204);
        await vi.waitFor(() => expect(records("notification_malformed")).toHaveLength(1), ARRIVAL);
      });

      it("the pages, with their headers", async () => {
        const page = await fetch(`${publicUrl}/`);
        expect(page.status).toBe(200);
        expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
        expect(await page.text()).toContain(`href="${publicUrl}/start"`);
        expect((await fetch(`${publicUrl}/nowhere`)).status).toBe(404);
        expect((await fetch(`${publicUrl}/callback`, { method: "POST" })).status).toBe(405);
      });

      it("a form, from its bytes", async () => {
        const { browser, id } = await connect("bob@example.com");
        const page = await (await browser.get(`${publicUrl}/`)).text();
        const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
        const refused = await browser.post(`${publicUrl}/disconnect`, { csrf: "guessed" });
        expect(refused.status).toBe(403);
        expect((await browser.post(`${publicUrl}/disconnect`, { csrf })).status).toBe(200);
        const user = (await database.doc(`users/${id}`).get()).data();
        expect(user?.["status"]).toBe("disconnected");
      });

      it.each(["watchRenewal", "mailboxReconciliation"] as const)(
        "the schedule of %s, at POST / only",
        async (name) => {
          const { url } = functions[name];
          expect((await fetch(url, { method: "POST" })).status).toBe(204);
          expect((await fetch(url)).status).toBe(405);
          expect((await fetch(`${url}/elsewhere`, { method: "POST" })).status).toBe(404);
        },
      );

      it("security events, by POST only", async () => {
        expect((await fetch(functions.securityEvent.url)).status).toBe(405);
      });

      it("Gmail's API for a subscriber, and the body of a request as a stream", async () => {
        const { id } = await connect("eve@example.com");
        const { messageId } = emulator.deliver("eve@example.com", { subject: "Offer" });
        const { url, records } = functions.gmailApi;
        const message = `${url}/gmail/v1/users/${id}/messages/${messageId}?format=metadata`;
        expect((await fetch(message)).status).toBe(401);
        const account = "help-desk@acme-mail.iam.gserviceaccount.com";
        const headers = { authorization: `Bearer ${localIdToken(account)}` };
        expect(await (await fetch(message, { headers })).json()).toMatchObject({ id: messageId });
        const audit = { caller: account, method: "messages.get", userId: id, status: 200 };
        await vi.waitFor(
          () => expect(records("gmail_api_called")).toContainEqual(expect.objectContaining(audit)),
          ARRIVAL,
        );

        const body = "a".repeat(1024 * 1024);
        const refused = await fetch(message, {
          method: "POST",
          headers: { ...headers, "content-type": "application/json" },
          body,
        });
        expect(refused.status).toBe(405);
      });

      // The Firestore client tries for most of a minute before it gives up.
      it.runIf(major === 24)(
        "500 while the store is down, a page for a person, and 204 once it is back",
        async () => {
          const email = "cyd@example.com";
          const { id, browser } = await connect(email);
          emulator.createAccount({ email: "dan@example.com" });
          const newcomer = openBrowser();
          const start = await newcomer.get(`${publicUrl}/start`);
          const back = await emulator.consent(start.headers.get("location") ?? "", {
            account: "dan@example.com",
          });
          const { messageId } = emulator.deliver(email, { subject: "during an outage" });
          const { historyId } = emulator.account(email);
          const { url, records } = functions.gmailNotification;
          toFirestore.cut();
          const [status, ...pages] = await Promise.all([
            notify(url, topic, email, historyId),
            browser.get(`${publicUrl}/`),
            newcomer.get(back),
          ]);
          expect(status).toBe(500);
          for (const page of pages) {
            expect(page.status).toBe(503);
            expect(await page.text()).toContain("Something went wrong");
          }
          await vi.waitFor(() => expect(records("notification_failed")).toHaveLength(1), ARRIVAL);
          expect(published(id)).toEqual([]);
          toFirestore.mend();
          await vi.waitFor(
            async () => expect(await notify(url, topic, email, historyId)).toBe(204),
            { timeout: 90_000, interval: 1_000 },
          );
          await vi.waitFor(() => expect(published(id)).toEqual([messageId]), ARRIVAL);
        },
        240_000,
      );

      it("500 with every problem of the configuration in the log", async () => {
        const broken = {
          ...env,
          GMAIL_TOPIC: "gmail-notifications",
          OAUTH_CLIENT_SECRET: "",
          PUBLIC_URL: "http://receiver.example.com",
          TOKEN_KEYS: '{"primary":"local","keys":{"local":"c2hvcnQ="}}',
          SYNC_PAGES_MAX: "many",
        };
        const names = [
          "GMAIL_TOPIC",
          "OAUTH_CLIENT_SECRET",
          "PUBLIC_URL",
          "TOKEN_KEYS",
          "SYNC_PAGES_MAX",
        ];
        for (const target of ["gmailNotification", "connect"] as const) {
          const served = await serve(target, broken);
          try {
            const status =
              target === "connect"
                ? (await fetch(served.url)).status
                : await notify(served.url, topic, "ada@example.com", "1");
            expect(status).toBe(500);
            const record = await vi.waitFor(() => {
              const [found] = served.records("config_invalid");
              if (found === undefined) throw new Error(served.output());
              return found;
            }, ARRIVAL);
            expect(record["severity"]).toBe("CRITICAL");
            const problems = record["problems"] as string[];
            expect(problems).toHaveLength(names.length);
            for (const name of names) {
              expect(problems.filter((problem) => problem.startsWith(name))).toHaveLength(1);
            }
            expect(served.output()).not.toContain("c2hvcnQ");
          } finally {
            await served.stop();
          }
        }
      });

      it("without a secret in its logs, documents and events", async () => {
        const secrets = emulator.secretsIssued();
        expect(secrets.length).toBeGreaterThan(5);
        const logged = Object.values(functions)
          .map(({ output }) => output())
          .join("\n");
        const stored = inspect(await dumpDatabase(database), {
          depth: null,
          maxStringLength: null,
        });
        const told = inspect(subscriber.received, { depth: null, maxStringLength: null });
        expect(stored).toContain("refreshToken");
        for (const text of [logged, stored, told]) expect(findSecrets(text, secrets)).toEqual([]);
        expect(functions.connect.records("user_connected").length).toBeGreaterThan(0);
      });
    });
  });
});

/** Posts what Eventarc posts; resolves to the status. */
async function notify(
  url: string,
  topic: string,
  emailAddress: string,
  historyId: string,
): Promise<number> {
  const response = await fetch(
    url,
    eventRequest(topic, {
      messageId: "11032",
      publishTime: new Date().toISOString(),
      data: notificationData({ emailAddress, historyId }, "number"),
    }),
  );
  await response.arrayBuffer();
  return response.status;
}
