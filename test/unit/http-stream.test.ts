import { once } from "node:events";
import { type Server, createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Readable } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ExpressRequest } from "../../functions/src/platform/http.ts";
import {
  type StreamEnd,
  type StreamHandler,
  serveStream,
} from "../../functions/src/platform/http-stream.ts";
import { createLog } from "../../functions/src/platform/log.ts";

/** Goal: a response is written as fast as it is read, has an end, and is never cut short unnoticed. */

const MEBIBYTE = 1024 * 1024;
const LIMITS = { timeMsMax: 1_000, bytesMax: 32 * MEBIBYTE };
let server: Server | undefined;
const logs: string[] = [];
let outOfTime: (() => void) | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  logs.length = 0;
});

async function serving(handle: StreamHandler): Promise<string> {
  const log = createLog((line) => logs.push(line));
  const http = { publicUrl: "https://a.example", projectId: "demo", loadBalancers: 0, log };
  server = createServer(
    (request, response) =>
      void serveStream(
        request as ExpressRequest,
        response,
        () => Promise.resolve({ http }),
        () => ({ handle, limits: LIMITS }),
        (_ms, run) => {
          outOfTime = run;
          return () => {};
        },
      ),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A body of this many mebibytes, and how much of it was asked for. */
function body(mebibytes: number) {
  const read = { mebibytes: 0 };
  const stream = new Readable({
    read() {
      read.mebibytes += 1;
      this.push(read.mebibytes > mebibytes ? null : Buffer.alloc(MEBIBYTE));
    },
  });
  return { stream, read };
}

describe("a stream", () => {
  it("arrives whole, with the headers of every response", async () => {
    const ends: StreamEnd[] = [];
    const { stream } = body(8);
    const url = await serving(() =>
      Promise.resolve({ status: 200, headers: {}, body: stream, onEnd: (end) => ends.push(end) }),
    );
    const response = await fetch(url);
    expect((await response.arrayBuffer()).byteLength).toBe(8 * MEBIBYTE);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(ends).toEqual([{ bytes: 8 * MEBIBYTE, isComplete: true }]);
  });

  it("longer than the limit ends its connection, so that no part passes for the whole", async () => {
    const ends: StreamEnd[] = [];
    const { stream, read } = body(200);
    const url = await serving(() =>
      Promise.resolve({ status: 200, headers: {}, body: stream, onEnd: (end) => ends.push(end) }),
    );
    await expect(fetch(url).then((response) => response.arrayBuffer())).rejects.toThrow(
      "terminated",
    );
    expect(ends).toMatchObject([{ isComplete: false }]);
    expect(read.mebibytes).toBeLessThan(60);
  });

  it("is read no faster than its client reads", async () => {
    const { stream, read } = body(32);
    const url = await serving(() => Promise.resolve({ status: 200, headers: {}, body: stream }));
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await vi.waitFor(() => expect(read.mebibytes).toBeGreaterThan(0));
    // As far as the buffers of both sides reach.
    for (let turns = 0; turns < 2_000; turns++) await new Promise((done) => setImmediate(done));
    expect(read.mebibytes).toBeLessThan(32);
    socket.destroy();
    await vi.waitFor(() => expect(stream.destroyed).toBe(true));
  });

  it("ends only after the work that has to be done before its end", async () => {
    const { stream } = body(2);
    const order: string[] = [];
    let finish = () => {};
    const url = await serving(() =>
      Promise.resolve({
        status: 200,
        headers: {},
        body: stream,
        beforeEnd: ({ bytes, isComplete }) => {
          order.push(`${bytes} bytes, ${isComplete}`);
          return new Promise((done) => {
            finish = done;
          });
        },
        onEnd: () => order.push("end"),
      }),
    );
    const response = await fetch(url);
    const whole = response.arrayBuffer();
    await vi.waitFor(() => expect(order).toEqual([`${2 * MEBIBYTE} bytes, true`]));
    finish();
    await whole;
    expect(order).toEqual([`${2 * MEBIBYTE} bytes, true`, "end"]);
  });

  it("that takes too long ends", async () => {
    const ends: StreamEnd[] = [];
    const slow = new Readable({ read() {} });
    slow.push("begin");
    const url = await serving(() =>
      Promise.resolve({ status: 200, headers: {}, body: slow, onEnd: (end) => ends.push(end) }),
    );
    const response = await fetch(url);
    outOfTime?.();
    await expect(response.text()).rejects.toThrow("terminated");
    expect([slow.destroyed, ends[0]?.isComplete]).toEqual([true, false]);
  });
});

describe("a handler", () => {
  it("that fails is answered 500 without a word of why", async () => {
    const url = await serving(() => Promise.reject(new Error("ya29.secret")));
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([
      500,
      '{"error":"something went wrong"}',
    ]);
    expect(logs.join("\n")).toContain("request_failed");
    expect(logs.join("\n")).not.toContain("ya29");
  });
});
