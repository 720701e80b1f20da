import { once } from "node:events";
import { type IncomingHttpHeaders, createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

/** A Google client generated from protocol buffers, which brings the definition of its service. */
type GeneratedClient = new (options: { projectId: string }) => object;

export interface StubServer {
  /** `127.0.0.1:PORT`. */
  host: string;
  close(): void;
}

/** Answers `path` with a body, which goes out as JSON. */
export type Route = (path: string, body: Buffer, headers: IncomingHttpHeaders) => unknown;

/** Serves gRPC on loopback. Both ends speak from the definition that the client brings. */
export async function serveGrpc(
  Client: GeneratedClient,
  name: string,
  methods: UntypedServiceImplementation,
): Promise<StubServer> {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  server.addService(serviceOf(Client, name), methods);
  const port = await bind(server);
  return { host: `127.0.0.1:${port}`, close: () => server.forceShutdown() };
}

/** Serves JSON over HTTP on loopback. */
export async function serveHttp(route: Route): Promise<StubServer> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const answer = route(request.url ?? "/", Buffer.concat(chunks), request.headers);
      const body = JSON.stringify(answer);
      response.writeHead(200, {
        "content-type": "application/json; charset=UTF-8",
        "content-length": String(Buffer.byteLength(body)),
      });
      response.end(body);
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function serviceOf(Client: GeneratedClient, name: string): ServiceDefinition {
  const { _protos } = new Client({ projectId: "demo" }) as { _protos?: unknown };
  const found = name
    .split(".")
    .reduce((at: unknown, part) => (at as Record<string, unknown> | undefined)?.[part], _protos);
  const { service } = (found ?? {}) as { service?: ServiceDefinition };
  if (service === undefined) throw new Error(`the client does not know ${name}`);
  return service;
}

function bind(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}
