import { once } from "node:events";
import { connect } from "node:net";

/** What came back on one connection: one answer, or nothing when the server closed it. */
export interface WireAnswer {
  /** 0 when nothing came. */
  status: number;
  text: string;
}

const ANSWER_MS_MAX = 10_000;

/** Sends bytes as they are, past every client that would put them right, and reads to the end. */
export async function sendRaw(url: string, bytes: string | Buffer): Promise<WireAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error("no answer in time")));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  let failure: NodeJS.ErrnoException | undefined;
  socket.on("error", (error) => {
    failure = error;
  });
  socket.write(bytes);
  await once(socket, "close");
  // A server that has seen enough resets the connection, and what it said before may be lost.
  const isReset = failure?.code === "ECONNRESET" || failure?.code === "EPIPE";
  if (failure !== undefined && !isReset) throw failure;
  const text = Buffer.concat(chunks).toString("latin1");
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text };
}

/** A request as text; the connection ends with its answer. */
export function written(
  requestLine: string,
  headers: readonly string[] = [],
  body: string | Buffer = "",
): Buffer {
  const isSized = headers.some((line) => /^(content-length|transfer-encoding):/i.test(line));
  const sized = isSized ? [] : [`content-length: ${Buffer.byteLength(body)}`];
  const hosted = headers.some((line) => /^host:/i.test(line)) ? [] : ["host: 127.0.0.1"];
  const lines = [`${requestLine} HTTP/1.1`, ...hosted, "connection: close", ...sized, ...headers];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), Buffer.from(body)]);
}
