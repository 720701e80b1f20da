// Bundled beside the functions as `rehearsal.js`; the build of a deployment runs it (`postinstall`) where
// the functions will then run. It calls, once, the functions that somebody waits for, with answers of Google
// that are made up here, so that `index.cjs` can keep what V8 compiled. Its keys are drawn when it runs, and
// nothing of the environment counts.
//
// Only a bundle that does not load fails the build. Whatever else goes wrong is printed, and costs the first
// requests of an instance some time.
import { createSecretKey, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { text } from "node:stream/consumers";
import { type KeyRing, seal } from "./src/crypto/sealing.ts";

const MS_MAX = 20_000;
const PROJECT = "demo-rehearsal";
const USER_ID = "1";
const EMAIL_ADDRESS = "person@example.com";
const PATH = `projects/${PROJECT}/databases/(default)/documents/users/${USER_ID}`;
const ADDED = { id: "a1", threadId: "a1", labelIds: ["INBOX"] };

const KEY = randomBytes(32).toString("base64");
const RING: KeyRing = {
  primary: "rehearsal",
  keys: new Map([["rehearsal", createSecretKey(KEY, "base64")]]),
};

/** A handler of requests, or of events. */
type Handler = (...args: unknown[]) => unknown;

/** A request to one of the functions, and the status that it is answered with. */
interface Call {
  name: string;
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  status: number;
}

const NOTIFICATION = { emailAddress: EMAIL_ADDRESS, historyId: 2 };
const CALLER = Buffer.from(JSON.stringify({ email: "app@example.com" })).toString("base64url");

const CALLS: readonly Call[] = [
  {
    name: "gmailNotification",
    path: "/",
    body: {
      message: {
        data: Buffer.from(JSON.stringify(NOTIFICATION)).toString("base64"),
        messageId: "1",
        publishTime: "2026-01-01T00:00:00.000Z",
      },
      subscription: `projects/${PROJECT}/subscriptions/eventarc`,
    },
    status: 204,
  },
  { name: "connect", path: "/", status: 200 },
  { name: "connect", path: "/start", status: 303 },
  {
    name: "gmailApi",
    path: `/gmail/v1/users/${USER_ID}/messages/${ADDED.id}`,
    headers: { authorization: `Bearer e30.${CALLER}.` },
    status: 200,
  },
];

/** A connected mailbox as it is stored. Its access token has expired, so that it is refreshed too. */
function storedUser(): object {
  const sealed = (purpose: "refresh_token" | "access_token") =>
    seal(RING, "rehearsal", { userId: USER_ID, purpose }, randomBytes);
  const at = new Date();
  const later = new Date(at.getTime() + 3_600_000);
  return {
    emailAddress: EMAIL_ADDRESS,
    status: "active",
    statusReason: "authorized",
    statusAt: at,
    grant: {
      generation: 1,
      scopes: ["openid", "email", "https://www.googleapis.com/auth/gmail.metadata"],
      refreshToken: sealed("refresh_token"),
      accessToken: sealed("access_token"),
      accessTokenExpiresAt: at,
      refreshTokenDigests: { prefix: "prefix", doubleHash: "doubleHash" },
      grantedAt: at,
    },
    historyId: "1",
    watch: { expiresAt: later, renewAt: later, failures: 0 },
    sync: { dueAt: later, dueReason: "quiet", retries: 0, recent: [] },
    followUp: { announced: { status: "active", generation: 1 }, failures: 0 },
  };
}

/** What Firestore and Pub/Sub answer, by the last part of the path: fields of protocol buffers. */
const GRPC_ANSWERS: Readonly<Record<string, () => Uint8Array>> = {
  RunQuery: () => message([1, documentOf(storedUser())], [3, time(new Date())]),
  BatchGetDocuments: () => message([1, documentOf(storedUser())], [4, time(new Date())]),
  Commit: () => message([1, message([1, time(new Date())])], [2, time(new Date())]),
  Publish: () => message([1, "1"]),
};

function gmailAnswer(path: string): object {
  if (path === "/token") {
    return { access_token: "rehearsal", expires_in: 3599, token_type: "Bearer" };
  }
  if (path.includes("/messages/")) return ADDED;
  const history = [{ id: "2", messages: [ADDED], messagesAdded: [{ message: ADDED }] }];
  return { historyId: "2", history };
}

type Field = [number: number, value: Uint8Array | string | number];

/** Encodes a message of protocol buffers (protobuf.dev/programming-guides/encoding). */
function message(...fields: Field[]): Uint8Array {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (typeof value === "number") return [varint(number * 8), varint(value)];
      const bytes = Buffer.from(value);
      return [varint(number * 8 + 2), varint(bytes.length), bytes];
    }),
  );
}

function varint(value: number): Uint8Array {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

const time = (date: Date) => message([1, Math.floor(date.getTime() / 1_000)]);

/** `google.firestore.v1.Document`. */
function documentOf(object: object): Uint8Array {
  const at = time(new Date());
  return message([1, PATH], ...fieldsOf(object, 2), [3, at], [4, at]);
}

function fieldsOf(object: object, number: number): Field[] {
  return Object.entries(object).map(([name, value]) => [
    number,
    message([1, name], [2, valueOf(value)]),
  ]);
}

/** `google.firestore.v1.Value`. */
function valueOf(value: unknown): Uint8Array {
  if (typeof value === "string") return message([17, value]);
  if (typeof value === "number") return message([2, value]);
  if (value instanceof Date) return message([10, time(value)]);
  if (Array.isArray(value)) {
    return message([9, message(...value.map((each): Field => [1, valueOf(each)]))]);
  }
  return message([6, message(...fieldsOf(value as object, 1))]);
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Serves Firestore and Pub/Sub: a frame with one message, and the status in the trailers. */
function grpcStub(): Server {
  const server = createHttp2Server();
  server.on("stream", (stream, headers) => {
    const answer = GRPC_ANSWERS[headers[":path"]?.split("/").at(-1) ?? ""]?.() ?? message();
    const head = Buffer.alloc(5);
    head.writeUInt32BE(answer.length, 1);
    stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.resume().on("end", () => stream.end(Buffer.concat([head, answer])));
  });
  return server;
}

function gmailStub(): Server {
  return createServer((received, response) => {
    response.setHeader("content-type", "application/json; charset=UTF-8");
    response.end(JSON.stringify(gmailAnswer(received.url ?? "/")));
  });
}

const INDEX: string = "./index.cjs";
const FRAMEWORK: string = "@google-cloud/functions-framework/testing";

/** Loads the functions of this folder with an environment that is made up, and returns what serves one. */
async function load(): Promise<(call: Call) => Promise<Server | undefined>> {
  const [grpc, gmail] = [await listen(grpcStub()), await listen(gmailStub())];
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, {
    GOOGLE_CLOUD_PROJECT: PROJECT,
    GMAIL_TOPIC: `projects/${PROJECT}/topics/gmail-notifications`,
    CHANGES_TOPIC: "mailbox-changes",
    PUBLIC_URL: "http://127.0.0.1:8080",
    OAUTH_CLIENT_ID: "1-rehearsal.apps.googleusercontent.com",
    OAUTH_CLIENT_SECRET: "rehearsal",
    TOKEN_KEYS: JSON.stringify({ primary: "rehearsal", keys: { rehearsal: KEY } }),
    FIRESTORE_EMULATOR_HOST: grpc,
    PUBSUB_EMULATOR_HOST: grpc,
    GMAIL_EMULATOR_HOST: gmail,
    METADATA_SERVER_DETECTION: "none",
  });
  const { default: exported } = await import(INDEX);
  return async (call) => {
    if (call.name in exported) return serverOf(exported[call.name], call);
    // With gcloud the functions-framework holds the functions, and the bundle exports none.
    const { default: framework } = await import(FRAMEWORK);
    return framework.getFunction(call.name) && framework.getTestServer(call.name);
  };
}

function serverOf(handler: Handler, { body }: Call): Server {
  return createServer(async (received, response) => {
    if (body === undefined) {
      await handler(received, response);
    } else {
      await handler({ specversion: "1.0", id: "1", data: JSON.parse(await text(received)) });
      response.writeHead(204).end();
    }
  });
}

/** Resolves to the status of the answer to one call. */
async function answerTo({ path, body, headers }: Call, server: Server): Promise<number> {
  const sent = request(`http://${await listen(server)}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { ...headers, "content-type": "application/json" },
  });
  sent.end(body && JSON.stringify(body));
  const [response] = await once(sent, "response");
  await text(response);
  return response.statusCode;
}

async function rehearse(): Promise<void> {
  const find = await load();
  const write = process.stdout.write.bind(process.stdout);
  let logged = "";
  const finish = (end: string) => {
    write(`${end}\n`);
    // Open connections would keep the process. `index.cjs` saves what is compiled when it exits.
    process.exit(0);
  };
  const fail = (why: unknown) => finish(`not all rehearsed: ${String(why)}\n${logged}`);
  process.on("uncaughtException", fail);
  setTimeout(fail, MS_MAX, "it takes too long");
  process.stdout.write = (line: string | Uint8Array) => {
    logged += String(line);
    return true;
  };
  const answered = [];
  for (const call of CALLS) {
    const server = await find(call);
    if (server === undefined) continue;
    const status = await answerTo(call, server);
    if (status !== call.status) return fail(`${call.name} answered ${status} to ${call.path}`);
    answered.push(`${call.name} ${call.path}`);
  }
  finish(`rehearsed: ${answered.join(", ")}`);
}

void rehearse();
