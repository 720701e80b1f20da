import { once } from "node:events";
import { type NetConnectOpts, type Socket, connect, createServer } from "node:net";

/** An address of loopback that passes on what comes in, and says so. */
export interface Tap {
  /** `127.0.0.1:PORT`. */
  host: string;
  close(): Promise<void>;
}

const LOOPBACK = "127.0.0.1";

/**
 * Each connection goes to what `target` names at that moment; when nobody is there it is cut. What a
 * client has sent before it died still arrives, as it does in a network.
 */
export async function startTap(
  target: () => NetConnectOpts,
  onSent: () => void = () => {},
): Promise<Tap> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target());
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("error", () => to.destroy());
      from.on("close", (hasFailed) => {
        sockets.delete(from);
        if (hasFailed) to.destroy();
        else to.end();
      });
    }
    client.on("data", onSent);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening on a port");

  return {
    host: `${LOOPBACK}:${address.port}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
