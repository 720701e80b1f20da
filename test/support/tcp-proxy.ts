import { once } from "node:events";
import { type Socket, connect, createServer } from "node:net";

/** A network in between that can be broken. */
export interface TcpProxy {
  /** `127.0.0.1:PORT`. */
  host: string;
  /** Ends every connection, and takes none, until it is mended. */
  cut(): void;
  mend(): void;
  /** Keeps what clients send from arriving, until it is released. */
  hold(): void;
  release(): void;
  /** How much is being kept. */
  heldBytes(): number;
  close(): Promise<void>;
}

const LOOPBACK = "127.0.0.1";

/** Passes on to `target` (`HOST:PORT`) what comes in, and back, and shows it on the way. */
export async function startTcpProxy(
  target: string,
  onPassed: (data: Buffer, from: "client" | "target") => void = () => {},
): Promise<TcpProxy> {
  const [host = LOOPBACK, port = "0"] = target.split(":");
  const sockets = new Set<Socket>();
  let held: { to: Socket; data: Buffer }[] | undefined;
  let isCut = false;

  const server = createServer((client) => {
    if (isCut) return void client.destroy();
    const upstream = connect(Number(port), host);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => from.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    upstream.on("data", (data) => onPassed(data, "target"));
    client.on("data", (data) => {
      onPassed(data, "client");
      if (held === undefined) upstream.write(data);
      else held.push({ to: upstream, data });
    });
    upstream.pipe(client);
  });
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening on a port");

  const destroyAll = () => sockets.forEach((socket) => socket.destroy());
  return {
    host: `${LOOPBACK}:${address.port}`,
    cut() {
      isCut = true;
      destroyAll();
    },
    mend() {
      isCut = false;
    },
    hold() {
      held = [];
    },
    release() {
      for (const { to, data } of held ?? []) to.write(data);
      held = undefined;
    },
    heldBytes: () => (held ?? []).reduce((sum, { data }) => sum + data.length, 0),
    async close() {
      destroyAll();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}
