import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { createGzip } from "node:zlib";

/** A way to have a server keep more than it has memory for. */
export interface Bomb {
  /** One word of it. */
  name: string;
  /** Sends it. `look` is called while as much is there as it brings; its answer is resolved to. */
  send<T>(port: number, look: () => Promise<T>): Promise<{ statuses: number[]; looked: T }>;
}

const MB = 1_000_000;
const INFLATED_BYTES = 690 * MB;
const LARGE_BYTES = 31 * MB;
/** More than a connection and the buffers of two systems hold. */
const ENDLESS_BYTES = 200 * MB;
const LIMIT_BYTES = 64 * 1024;
/** As many as an instance is given at a time. */
const REQUESTS_AT_ONCE = 40;

const PIECE = Buffer.alloc(MB, 0x61);
const PIECE_AS_CHUNK = Buffer.concat([
  Buffer.from(`${PIECE.length.toString(16)}\r\n`),
  PIECE,
  Buffer.from("\r\n"),
]);

/** Each by what it is. The first two ended a process of 512 MiB within seconds. */
export const BOMBS: Readonly<Record<string, Bomb>> = {
  "690 MB as 670 kB of gzip": {
    name: "gzip",
    async send(port, look) {
      const body = await (gzipped ??= zerosInGzip());
      const head = headOf(["content-encoding: gzip", `content-length: ${body.length}`]);
      const status = await sendPieces(port, [head, body]);
      return { statuses: [status], looked: await look() };
    },
  },
  "20 bodies of 31 MB at once": {
    name: "parallel",
    async send(port, look) {
      const head = headOf([`content-length: ${LARGE_BYTES}`]);
      const pieces = [head, ...Array<Buffer>(LARGE_BYTES / MB).fill(PIECE)];
      const sent = Array.from({ length: 20 }, () => sendPieces(port, pieces));
      return { statuses: await Promise.all(sent), looked: await look() };
    },
  },
  "a body in chunks without end": {
    name: "endless",
    async send(port, look) {
      const head = headOf(["transfer-encoding: chunked"]);
      const pieces = [head, ...Array<Buffer>(ENDLESS_BYTES / MB).fill(PIECE_AS_CHUNK)];
      return { statuses: [await sendPieces(port, pieces)], looked: await look() };
    },
  },
  "40 bodies in chunks of one byte": {
    name: "crumbs",
    async send(port, look) {
      const pieces = [
        headOf(["transfer-encoding: chunked"]),
        Buffer.from("1\r\na\r\n".repeat(LIMIT_BYTES)),
      ];
      const held = await Promise.all(
        Array.from({ length: REQUESTS_AT_ONCE }, () => sendWithoutEnd(port, pieces)),
      );
      const looked = await look();
      for (const socket of held) socket.destroy();
      return { statuses: [], looked };
    },
  },
};

/** Sends 20 of the largest messages of Pub/Sub at once; resolves to the statuses. */
export async function sendLargestMessages(port: number): Promise<number[]> {
  const body = Buffer.from(
    JSON.stringify({
      message: { data: Buffer.alloc(10 * MB).toString("base64"), messageId: "1" },
      subscription: "projects/a/subscriptions/s",
    }),
  );
  const head = headOf([
    "ce-id: 1",
    "ce-source: //pubsub.googleapis.com/a",
    "ce-specversion: 1.0",
    "ce-type: google.cloud.pubsub.topic.v1.messagePublished",
    `content-length: ${body.length}`,
  ]);
  return Promise.all(Array.from({ length: 20 }, () => sendPieces(port, [head, body])));
}

function headOf(headers: readonly string[]): Buffer {
  const lines = ["POST / HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"];
  return Buffer.from([...lines, ...headers, "", ""].join("\r\n"));
}

/** Resolves to the status of the answer; 0 when the connection ended without one. */
async function sendPieces(port: number, pieces: readonly Buffer[]): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("error", () => {});
  const answered = new Promise<void>((resolve) => {
    socket.on("data", (data: Buffer) => {
      answer += data.toString("latin1");
      if (answer.includes("\r\n\r\n")) resolve();
    });
    socket.on("close", () => resolve());
  });
  for (const piece of pieces) await write(socket, piece);
  await answered;
  socket.destroy();
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}

/** Resolves to the connection, once all of it has been taken. */
async function sendWithoutEnd(port: number, pieces: readonly Buffer[]): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  for (const piece of pieces) await write(socket, piece);
  return socket;
}

async function write(socket: Socket, piece: Buffer): Promise<void> {
  if (socket.destroyed) return;
  if (!socket.write(piece)) await once(socket, "drain").catch(() => {});
  // A server that has answered is heard before more is sent.
  await turn();
}

/** Made once: it takes seconds. */
let gzipped: Promise<Buffer> | undefined;

async function zerosInGzip(): Promise<Buffer> {
  const gzip = createGzip({ level: 9 });
  const parts: Buffer[] = [];
  gzip.on("data", (part: Buffer) => parts.push(part));
  const zeros = Buffer.alloc(MB);
  for (let bytes = 0; bytes < INFLATED_BYTES; bytes += zeros.length) {
    if (!gzip.write(zeros)) await once(gzip, "drain");
  }
  gzip.end();
  await once(gzip, "end");
  return Buffer.concat(parts);
}
