import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A response as it goes over the wire, no matter what its headers claim. */
export interface RawAnswer {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** A request that came: enough to tell the calls apart, and to see what another server was sent. */
export interface Asked {
  path: string;
  authorization: string | undefined;
  body: string;
}

/** A server in Google's place, on loopback, that sends the response it is given. */
export interface GoogleServer {
  host: string;
  url: string;
  /** Everything that was asked since the last time. */
  take(): Asked[];
  close(): Promise<void>;
}

export async function startGoogleServer(
  answer: (path: string) => RawAnswer,
): Promise<GoogleServer> {
  let asked: Asked[] = [];
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url: path = "/" } = request;
    const { authorization } = request.headers;
    asked.push({ path, authorization, body: await read(request) });
    const { status = 200, headers = {}, body = "" } = answer(path);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(body);
  }
  const server = createServer((request, response) => void serve(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    host,
    url: `http://${host}`,
    take() {
      const taken = asked;
      asked = [];
      return taken;
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
