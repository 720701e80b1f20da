import { once } from "node:events";
import { type AddressInfo, type Socket, createServer } from "node:net";

/** A relay that takes mail only from clients that greet it with a name of the DNS. */
export interface StrictRelay {
  /** For `NOTICE_SMTP_URL`. */
  url: string;
  /** The names in the greetings so far. */
  greetings: string[];
  mails: number;
  close(): Promise<void>;
}

/**
 * Answers 421 to a greeting without a dotted name and hangs up, as Google's own relay does. What it
 * speaks of SMTP (RFC 5321 §4.1.1) is enough for one mail without TLS and login.
 */
export async function startStrictRelay(port = 0): Promise<StrictRelay> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write("220 relay.example ESMTP\r\n");
    let isBody = false;
    let rest = "";
    socket.on("data", (data) => {
      const lines = (rest + data.toString()).split("\r\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (isBody && line !== ".") continue;
        isBody = /^DATA$/i.test(line);
        if (line === ".") relay.mails += 1;
        const [, name] = /^(?:EHLO|HELO) (.*)$/i.exec(line) ?? [];
        if (name !== undefined) relay.greetings.push(name);
        if (name !== undefined && !/^[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]+$/i.test(name)) {
          socket.end("421 4.7.0 Try again later, closing connection. (EHLO)\r\n");
          return;
        }
        socket.write(isBody ? "354 go on\r\n" : "250 2.0.0 OK\r\n");
      }
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const relay: StrictRelay = {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    greetings: [],
    mails: 0,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return relay;
}
