import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";

/** A web site on loopback that is not the receiver's. */
export interface Site {
  origin: string;
  /** What it answers; it is known only once the site has its address. */
  answer: (request: Request) => Response | Promise<Response>;
  /** Answers every request with this page from now on. */
  show(markup: string): void;
  close(): void;
}

/**
 * Starts on a free port. To a browser `localhost` is another site than `127.0.0.1`, and two ports of
 * one host are one site with two origins, as siblings under one domain are.
 */
export async function startSite(host: "127.0.0.1" | "localhost" = "127.0.0.1"): Promise<Site> {
  const server = serve({
    fetch: (request) => site.answer(request),
    hostname: "127.0.0.1",
    port: 0,
  }) as Server;
  await once(server, "listening");
  const site: Site = {
    origin: `http://${host}:${(server.address() as AddressInfo).port}`,
    answer: () => new Response(null, { status: 503 }),
    show(markup) {
      const headers = { "content-type": "text/html; charset=utf-8" };
      site.answer = () => new Response(markup, { headers });
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return site;
}
