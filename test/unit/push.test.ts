import { type Server, createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import {
  type ExpressRequest,
  type Push,
  Redeliver,
  servePush,
} from "../../functions/src/platform/http.ts";
import { createLog } from "../../functions/src/platform/log.ts";

/** Goal: each answer to Pub/Sub acknowledges a message or asks for it again, and says nothing else. */

const FAILED = [500, '{"error":"something went wrong"}'];
const BODY = { message: { data: "e30=" } };
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

let server: Server | undefined;
let failure: Error | undefined;
const logs: string[] = [];
const pushes: Push[] = [];

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  failure = undefined;
  logs.length = 0;
  pushes.length = 0;
});

async function push(
  body: string | undefined,
  headers: Record<string, string> = {},
): Promise<Response> {
  const log = createLog((line) => logs.push(line));
  const http = { publicUrl: "https://a.example", projectId: "demo", loadBalancers: 0, log };
  server = createServer((request, response) => {
    const rawBody = body === undefined ? {} : { rawBody: Buffer.from(body) };
    const received = Object.assign(request as ExpressRequest, rawBody);
    const getServer = () => Promise.resolve({ http });
    void servePush(received, response, getServer, (_, pushed) => {
      pushes.push(pushed);
      return failure === undefined ? Promise.resolve() : Promise.reject(failure);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return fetch(url, { method: "POST", headers });
}

it.each<[string, string | undefined, Record<string, string>, Push]>([
  ["itself", JSON.stringify(BODY), {}, { data: BODY, traceparent: undefined }],
  [
    "as a CloudEvent in binary mode, with its trace",
    JSON.stringify(BODY),
    { "ce-type": "t", "ce-traceparent": TRACE, traceparent: "" },
    { data: BODY, traceparent: TRACE },
  ],
  [
    "as a CloudEvent in structured mode, with its trace",
    JSON.stringify({ specversion: "1.0", traceparent: TRACE, data: BODY }),
    { "content-type": "application/cloudevents+json" },
    { data: BODY, traceparent: TRACE },
  ],
  [
    "with the trace of the request, which comes first",
    JSON.stringify({ specversion: "1.0", traceparent: "a", data: BODY }),
    { traceparent: TRACE },
    { data: BODY, traceparent: TRACE },
  ],
  ["without a body", undefined, {}, { data: undefined, traceparent: undefined }],
  ["as what is no JSON", "{", {}, { data: undefined, traceparent: undefined }],
  ["as null", "null", {}, { data: null, traceparent: undefined }],
])("a message that is pushed %s is acknowledged", async (_, body, headers, pushed) => {
  expect((await push(body, headers)).status).toBe(204);
  expect(pushes).toEqual([pushed]);
});

it("a message that is to come again is answered 500, and not logged again", async () => {
  failure = new Redeliver("the store did not answer");
  const response = await push(JSON.stringify(BODY));
  expect([response.status, await response.text()]).toEqual(FAILED);
  expect(logs).toEqual([]);
});

it("a failure that nobody has logged is logged without its message", async () => {
  failure = new Error("ya29.secret");
  const response = await push(JSON.stringify(BODY));
  expect([response.status, await response.text()]).toEqual(FAILED);
  expect(logs.map((line) => JSON.parse(line).event)).toEqual(["request_failed"]);
  expect(logs.join()).not.toContain("ya29");
});
