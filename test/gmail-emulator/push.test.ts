import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient } from "./application.ts";
import { type EmulatorOptions, type GmailEmulator, startGmailEmulator } from "./emulator.ts";

const ADA = "ada@example.com";
const TOPIC = "projects/demo-gmail-push/topics/gmail-notifications";

interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: { message: Record<string, string>; subscription: string };
}

describe("push", () => {
  let emulator: GmailEmulator;
  let subscriber: Server;
  let url: string;
  let received: Received[];
  /** Statuses to answer with, first to last; 204 when there are none left. */
  let answers: (number | "never")[];

  beforeEach(async () => {
    received = [];
    answers = [];
    subscriber = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        received.push({
          path: request.url ?? "",
          headers: request.headers,
          body: JSON.parse(text),
        });
        const answer = answers.shift() ?? 204;
        if (answer !== "never") response.writeHead(answer, { location: "/" }).end();
      });
    }).listen(0, "127.0.0.1");
    await once(subscriber, "listening");
    const address = subscriber.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    url = `http://127.0.0.1:${address.port}`;
  });
  afterEach(async () => {
    await emulator.close();
    subscriber.closeAllConnections();
    subscriber.close();
  });

  /** Starts with a watched mailbox, whose first notification is already done with. */
  const start = async (options: EmulatorOptions = {}) => {
    emulator = await startGmailEmulator({
      push: { kind: "push", url },
      pushPolicy: { backoffMsMin: 1, backoffMsMax: 4, timeoutMs: 5_000 },
      ...options,
    });
    emulator.createAccount({ email: ADA });
    const gmail = gmailClient(emulator, (await connect(emulator, ADA)).accessToken);
    await gmail.users.watch({ userId: "me", requestBody: { topicName: TOPIC } });
    await emulator.idle();
    received.length = 0;
  };
  const dataOf = ({ body }: Received) =>
    Buffer.from(body.message["data"] ?? "", "base64").toString();

  it("queues many messages for another attempt without a warning", async () => {
    const warnings: string[] = [];
    const warn = ({ name }: Error) => void warnings.push(name);
    process.on("warning", warn);
    await start({ pushPolicy: { backoffMsMin: 300, backoffMsMax: 300, timeoutMs: 5_000 } });
    answers = Array.from({ length: 30 }, () => 500);
    for (let count = 0; count < 30; count++) emulator.deliver(ADA);
    await emulator.idle();
    process.off("warning", warn);
    expect(received).toHaveLength(60);
    expect(warnings).toEqual([]);
  });

  it("posts a CloudEvent in binary mode with the whole Pub/Sub envelope", async () => {
    await start();
    emulator.deliver(ADA);
    await emulator.idle();
    const [event] = received;
    const id = event?.body.message["messageId"];
    expect(event?.headers).toMatchObject({
      "ce-specversion": "1.0",
      "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
      "ce-source": `//pubsub.googleapis.com/${TOPIC}`,
      "ce-id": id,
      "content-type": "application/json",
    });
    expect(event?.body).toEqual({
      message: {
        attributes: {},
        data: expect.any(String),
        messageId: id,
        message_id: id,
        publishTime: expect.any(String),
        publish_time: event?.body.message["publishTime"],
      },
      subscription: "projects/demo-gmail-push/subscriptions/gmail-notifications-push",
    });
  });

  it("writes a history id above 2^53 digit by digit, as a number or as a string", async () => {
    await start();
    const { historyId: first } = emulator.deliver(ADA);
    await emulator.idle();
    emulator.settings.notificationHistoryId = "string";
    const { historyId: second } = emulator.deliver(ADA);
    await emulator.idle();
    expect(received.map(dataOf)).toEqual([
      `{"emailAddress":"${ADA}","historyId":${first}}`,
      `{"emailAddress":"${ADA}","historyId":"${second}"}`,
    ]);
  });

  it("delivers again, under the same message id, until it is acknowledged", async () => {
    await start();
    answers = [500, 400, 302, 206, 202];
    emulator.deliver(ADA);
    const counters = await emulator.idle();
    expect(received).toHaveLength(5);
    expect(new Set(received.map(({ headers }) => headers["ce-id"])).size).toBe(1);
    expect(counters).toEqual({
      published: 2,
      attempts: 6,
      acknowledged: 2,
      refused: 4,
      abandoned: 0,
      pending: 0,
    });
  });

  it("treats a late response as a rejection", async () => {
    await start({ pushPolicy: { timeoutMs: 50, backoffMsMin: 1 } });
    answers = ["never"];
    emulator.deliver(ADA);
    await emulator.idle();
    expect(received).toHaveLength(2);
  });

  it("gives up after the number of attempts that the policy allows", async () => {
    await start({ pushPolicy: { attemptsMax: 3, backoffMsMin: 1 } });
    answers = [500, 500, 500, 500];
    emulator.deliver(ADA);
    expect(await emulator.idle()).toMatchObject({ refused: 3, abandoned: 1 });
    expect(received).toHaveLength(3);
  });

  it("gives up a message that is older than the policy allows", async () => {
    let now = Date.now();
    await start({ now: () => now, pushPolicy: { ageMsMax: 1_000, backoffMsMin: 100 } });
    answers = [500];
    emulator.deliver(ADA);
    now += 1_001;
    expect(await emulator.idle()).toMatchObject({ refused: 1, abandoned: 1 });
  });

  it("can redeliver an acknowledged message", async () => {
    await start();
    emulator.redeliverNext(1);
    emulator.deliver(ADA);
    emulator.deliver(ADA);
    await emulator.idle();
    const ids = received.map(({ headers }) => headers["ce-id"]);
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(2);
  });

  it("sends pending messages to the new address when that changes", async () => {
    await start({ push: { kind: "push", url: "http://127.0.0.1:1" } }).catch(() => undefined);
    emulator.deliver(ADA);
    emulator.setPush({ kind: "push", url });
    await emulator.idle();
    expect(received.length).toBeGreaterThan(0);
  });

  it("publishes to a topic of the Pub/Sub emulator by its REST interface", async () => {
    const publishes: { path: string; body: unknown }[] = [];
    const pubsub = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        publishes.push({ path: request.url ?? "", body: JSON.parse(text) });
        response.end('{"messageIds":["1"]}');
      });
    }).listen(0, "127.0.0.1");
    await once(pubsub, "listening");
    const address = pubsub.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const push = { kind: "pubsub_emulator", host: `127.0.0.1:${address.port}` } as const;
    await start({ push });
    const { historyId } = emulator.deliver(ADA);
    await emulator.idle();
    const data = Buffer.from(`{"emailAddress":"${ADA}","historyId":${historyId}}`);
    expect(publishes.at(-1)).toEqual({
      path: `/v1/${TOPIC}:publish`,
      body: { messages: [{ data: data.toString("base64") }] },
    });
    pubsub.closeAllConnections();
    pubsub.close();
  });

  it("calls a callback again when it throws", async () => {
    let refusals = 1;
    const delivered: string[] = [];
    await start({
      push: {
        kind: "callback",
        deliver({ message }) {
          delivered.push(message.messageId);
          if (refusals > 0) {
            refusals -= 1;
            throw new Error("not now");
          }
        },
      },
    });
    expect(delivered).toHaveLength(2);
    expect(new Set(delivered).size).toBe(1);
  });

  it("stops at once when the emulator closes with messages pending", async () => {
    await start({ pushPolicy: { backoffMsMin: 60_000, backoffMsMax: 60_000 } });
    answers = [500];
    emulator.deliver(ADA);
    await once(subscriber, "request");
    const before = performance.now();
    await emulator.close();
    expect(performance.now() - before).toBeLessThan(5_000);
    emulator = await startGmailEmulator();
  });
});
