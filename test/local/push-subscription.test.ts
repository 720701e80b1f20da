import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "../../functions/subscriber/parse.ts";
import { verifyPush } from "../../functions/subscriber/verify-push.ts";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { type GmailEmulator, startGmailEmulator } from "../gmail-emulator/emulator.ts";
import {
  type Delivery,
  PUSH_ACCOUNT,
  type PushPolicy,
  type PushSubscription,
  pushSubscription,
} from "./push-subscription.ts";

const NOW = new Date("2026-11-20T12:00:00.000Z");
const POLICY = { backoffMsMin: 1, backoffMsMax: 8, ackDeadlineMs: 5_000 };

const event = (key: string, name: string): PubsubCloudEvent => ({
  attributes: {
    "ce-specversion": "1.0",
    "ce-id": `${key}/${name}`,
    "ce-type": "mailbox.connected",
    "ce-source": `//gmail.googleapis.com/users/${key}`,
    "content-type": "application/json",
  },
  json: { userId: key, emailAddress: "ada@example.com", generation: 1 },
  orderingKey: key,
});

interface Request {
  id: string;
  body: string;
  headers: IncomingMessage["headers"];
  response: ServerResponse;
}

describe("a push subscription of the local stack", () => {
  let emulator: GmailEmulator;
  let endpoint: Server;
  let url: string;
  let requests: Request[];
  let deliveries: Delivery[];
  let subscription: PushSubscription;
  let answer: (request: Request) => void;

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    requests = [];
    deliveries = [];
    answer = ({ response }) => response.writeHead(204).end();
    endpoint = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        const { attributes } = JSON.parse(body).message as PubsubCloudEvent;
        const one = { id: attributes["ce-id"] ?? "", body, headers: request.headers, response };
        requests.push(one);
        answer(one);
      });
    }).listen(0, "127.0.0.1");
    await once(endpoint, "listening");
    url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/changes`;
    open();
  });
  afterEach(async () => {
    await subscription.close();
    endpoint.closeAllConnections();
    endpoint.close();
    await emulator.close();
  });

  function open(policy: Partial<PushPolicy> = {}): void {
    subscription = pushSubscription({
      url,
      sign: emulator.sign,
      now: () => NOW,
      policy: { ...POLICY, ...policy },
      onDelivery: (delivery) => deliveries.push(delivery),
    });
  }

  const ids = () => requests.map(({ id }) => id);

  it("sends the wrapped body, with a token that verifies", async () => {
    subscription.publish(event("1", "a"));
    await subscription.idle();
    const [request] = requests;
    expect(JSON.parse(request?.body ?? "")).toEqual({
      message: {
        attributes: event("1", "a").attributes,
        data: Buffer.from(JSON.stringify(event("1", "a").json)).toString("base64"),
        messageId: "20000000001",
        message_id: "20000000001",
        orderingKey: "1",
        publishTime: NOW.toISOString(),
        publish_time: NOW.toISOString(),
      },
      subscription: "projects/demo-gmail-push/subscriptions/mailbox-changes-push",
    });
    expect(parse(JSON.parse(request?.body ?? ""))).toMatchObject({ kind: "event" });
    const options = { audience: url, serviceAccount: PUSH_ACCOUNT, now: NOW };
    const certsUrl = `${emulator.url}/oauth2/v3/certs`;
    expect(await verifyPush(request as Request, { ...options, certsUrl })).toEqual({
      kind: "verified",
    });
  });

  it.each([200, 201, 202, 204])("takes %i for an acknowledgement", async (status) => {
    answer = ({ response }) => response.writeHead(status).end();
    subscription.publish(event("1", "a"));
    await subscription.idle();
    expect(ids()).toEqual(["1/a"]);
  });

  it.each([206, 302, 400, 401, 429, 500, 503])(
    "delivers again, with growing pauses, after %i",
    async (status) => {
      answer = ({ response }) =>
        response.writeHead(requests.length > 5 ? 204 : status, { location: "/" }).end();
      subscription.publish(event("1", "a"));
      await subscription.idle();
      expect(deliveries.map(({ outcome, retryMs }) => [outcome, retryMs])).toEqual([
        ...[1, 2, 4, 8, 8].map((retryMs) => [status, retryMs]),
        [204, 0],
      ]);
    },
  );

  it("holds the later messages of a mailbox back, and no other mailbox", async () => {
    let isRefused = true;
    answer = ({ id, response }) => response.writeHead(isRefused && id === "1/a" ? 503 : 204).end();
    for (const name of ["a", "b", "c"]) subscription.publish(event("1", name));
    for (const name of ["a", "b", "c"]) subscription.publish(event("2", name));
    await expect.poll(() => ids().filter((id) => id.startsWith("2/"))).toHaveLength(3);
    expect(ids()).not.toContain("1/b");
    isRefused = false;
    await subscription.idle();
    const acknowledged = deliveries.filter(({ isAcknowledged }) => isAcknowledged);
    for (const key of ["1", "2"]) {
      const own = acknowledged.filter((each) => each.event.orderingKey === key);
      const names = own.map((each) => each.event.attributes["ce-id"]);
      expect(names).toEqual([`${key}/a`, `${key}/b`, `${key}/c`]);
    }
  });

  it("delivers again what is not answered by the deadline", async () => {
    open({ ackDeadlineMs: 50 });
    answer = ({ response }) => {
      if (requests.length > 1) response.writeHead(204).end();
    };
    subscription.publish(event("1", "a"));
    await subscription.idle();
    expect(deliveries.map(({ outcome }) => outcome)).toEqual(["deadline exceeded", 204]);
  });

  it("waits for an endpoint that is not there yet", async () => {
    endpoint.close();
    endpoint.closeAllConnections();
    const { port } = new URL(url);
    subscription.publish(event("1", "a"));
    await expect.poll(() => deliveries.length).toBeGreaterThan(2);
    expect(deliveries[0]?.outcome).toBe("no response");
    endpoint.listen(Number(port), "127.0.0.1");
    await subscription.idle();
    expect(ids()).toEqual(["1/a"]);
  });
});
