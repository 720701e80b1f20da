import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FailedCall } from "../../functions/src/domain/failure.ts";
import {
  type PassThrough,
  type PassedRequest,
  gmailPassThrough,
} from "../../functions/src/google/gmail-pass-through.ts";
import { valueOf } from "../support/result.ts";

/** Goal: Gmail gets what it has to know and nothing else, and its response comes as a stream. */

let server: Server;
let passThrough: PassThrough;
let respond: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  server = createServer((request, response) => respond(request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  passThrough = gmailPassThrough(`http://127.0.0.1:${port}/`, { now: () => new Date() });
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const request = (more: Partial<PassedRequest> = {}): PassedRequest => ({
  method: "GET",
  path: "messages?maxResults=1",
  signal: new AbortController().signal,
  ...more,
});

async function failureOf(made: Promise<unknown>) {
  const error = await made.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof FailedCall ? error.failure : error;
}

describe("a request", () => {
  it("says who acts, and nothing of who asked", async () => {
    let seen: IncomingMessage | undefined;
    respond = (got, response) => {
      seen = got;
      response.end("{}");
    };
    await passThrough("ya29.token", request());
    expect(seen?.url).toBe("/gmail/v1/users/me/messages?maxResults=1");
    const { host: _, connection: __, ...headers } = seen?.headers ?? {};
    expect(headers).toEqual({
      authorization: "Bearer ya29.token",
      accept: "application/json",
      "accept-encoding": "identity",
      "content-length": "0",
    });
  });

  it("carries a body, whole or as it comes", async () => {
    const bodies: unknown[] = [];
    respond = (got, response) =>
      void text(got).then((body) =>
        response.end(bodies.push([got.headers["content-type"], body]) + ""),
      );
    const method = "POST";
    await passThrough("t", request({ method, body: Buffer.from('{"a":1}') }));
    await passThrough("t", request({ method, body: { stream: Readable.from(["{", "}"]) } }));
    expect(bodies).toEqual([
      ["application/json", '{"a":1}'],
      ["application/json", "{}"],
    ]);
  });

  it("ends with the caller's", async () => {
    const gone = new AbortController();
    respond = () => gone.abort();
    const failure = await failureOf(passThrough("t", request({ signal: gone.signal })));
    expect(failure).toEqual({ kind: "transient", reason: "timeout" });
  });
});

describe("a response", () => {
  it("is a stream that waits for its reader", async () => {
    let written = 0;
    respond = (_, response) => {
      const more = (): void => {
        while (written < 64 && response.write(Buffer.alloc(1024 * 1024))) written += 1;
        if (written >= 64) return void response.end();
        written += 1;
        response.once("drain", more);
      };
      more();
    };
    const passed = valueOf(await passThrough("t", request()));
    await once(passed.body, "readable");
    expect(written).toBeLessThan(64);
    let bytes = 0;
    for await (const chunk of passed.body as AsyncIterable<Buffer>) bytes += chunk.length;
    expect(bytes).toBe(64 * 1024 * 1024);
  });

  it("that breaks off fails its stream", async () => {
    respond = (_, response) => {
      response.writeHead(200, { "content-length": "10" });
      response.write("12345", () => response.destroy());
    };
    const passed = valueOf(await passThrough("t", request()));
    await expect(text(passed.body)).rejects.toThrow("aborted");
  });

  it("that is an error is read, up to a limit, and classified", async () => {
    respond = (_, response) => {
      response.writeHead(429, { "retry-after": "7", "content-type": "text/html" });
      response.end("<html>".padEnd(1024 * 1024));
    };
    const passed = await passThrough("t", request());
    expect(passed).toMatchObject({ error: { status: 429, retryAfter: "7" } });
    expect(passed).toHaveProperty("error.body.length", 256 * 1024);
  });

  it("that leads somewhere else is not followed", async () => {
    let requests = 0;
    respond = (_, response) => {
      requests += 1;
      response.writeHead(302, { location: "/elsewhere" }).end();
    };
    const passed = await passThrough("t", request());
    expect(passed).toMatchObject({ error: { status: 302 } });
    expect(requests).toBe(1);
  });

  it("is read again when Gmail had closed the connection that was kept", async () => {
    const sockets = new Set<unknown>();
    respond = ({ socket }, response) => {
      if (sockets.has(socket)) return void socket.destroy();
      sockets.add(socket);
      response.end("{}");
    };
    for (let i = 0; i < 2; i++) {
      const passed = valueOf(await passThrough("t", request()));
      expect(await text(passed.body)).toBe("{}");
    }
    expect(sockets.size).toBe(2);
  });

  it("to a change comes over a connection of its own, and is not asked for again", async () => {
    const sockets: unknown[] = [];
    respond = ({ socket }, response) => {
      sockets.push(socket);
      if (sockets.length > 2) return void socket.destroy();
      response.end("{}");
    };
    const post = request({ method: "POST", body: Buffer.from("{}") });
    for (let i = 0; i < 2; i++) {
      await text(valueOf(await passThrough("t", post)).body);
    }
    expect(await failureOf(passThrough("t", post))).toMatchObject({ kind: "transient" });
    expect(new Set(sockets).size).toBe(3);
  });

  it("with more headers than Node reads is a failure of the network", async () => {
    respond = (_, response) =>
      void response.writeHead(200, { "x-padding": "a".repeat(64 * 1024) }).end("{}");
    const failure = await failureOf(passThrough("t", request()));
    expect(failure).toEqual({ kind: "transient", reason: "network" });
  });

  it("that never comes is a failure of the network", async () => {
    respond = (got) => got.socket.destroy();
    const failure = await failureOf(passThrough("t", request()));
    expect(failure).toEqual({ kind: "transient", reason: "network" });
  });
});
