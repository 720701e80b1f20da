import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type IncomingMessage, type ServerResponse, request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";

const CERTIFICATE = path.resolve(import.meta.dirname, "../notices/localhost.pem");

/** Several sites behind one port of loopback, with TLS, each under a host name of its own. */
export interface TlsFront {
  /** `https://HOST:PORT`. The browser has to resolve the name to loopback. */
  originOf(host: string): string;
  /** From now on this host is served from there, with the host name that the browser asked for. */
  lead(host: string, to: string): void;
  /** Every path and query that a host was asked for. */
  asked(host: string): string[];
  close(): void;
}

export async function startTlsFront(): Promise<TlsFront> {
  const pem = readFileSync(CERTIFICATE);
  const targets = new Map<string, string>();
  const requests: { host: string; url: string }[] = [];
  const server = createServer({ key: pem, cert: pem }, (incoming, outgoing) => {
    const host = (incoming.headers.host ?? "").replace(/:\d+$/, "");
    requests.push({ host, url: incoming.url ?? "" });
    forward(incoming, outgoing, targets.get(host));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    originOf: (host) => `https://${host}:${port}`,
    lead: (host, to) => void targets.set(host, to),
    asked: (host) => requests.filter((each) => each.host === host).map(({ url }) => url),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  target: string | undefined,
): void {
  if (target === undefined) return void outgoing.writeHead(502).end();
  const { method, headers, url } = incoming;
  const onward = request(`${target}${url}`, { method, headers, agent: false }, (response) => {
    outgoing.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(outgoing);
  });
  onward.on("error", () => outgoing.destroy());
  incoming.pipe(onward);
}
