import { gzipSync } from "node:zlib";
import { written } from "./wire.ts";

const FORM = "content-type: application/x-www-form-urlencoded";
const JSON_TYPE = "content-type: application/json";
const MB = "a".repeat(1_048_576);

/** What comes to `connect`, and the status that it is answered with. */
export const PAGES: readonly [string, number, Buffer][] = [
  ["1 MB in a form", 413, written("POST /disconnect", [FORM], MB)],
  ["1 MB without a type", 413, written("POST /disconnect", [], MB)],
  ["1 MB at the landing page", 413, written("POST /", [], MB)],
  [
    "20 MB that are 20 kB on the wire",
    415,
    written(
      "POST /disconnect",
      ["content-encoding: gzip", FORM],
      gzipSync(Buffer.alloc(20_000_000)),
    ),
  ],
  [
    "what is not gzip but says so",
    415,
    written("POST /disconnect", ["content-encoding: gzip", FORM], "no"),
  ],
  ["an unknown encoding", 415, written("POST /disconnect", ["content-encoding: x", FORM], "a")],
  ["JSON that is none", 400, written("POST /disconnect", [JSON_TYPE], "{")],
  [
    "deep JSON",
    415,
    written("POST /disconnect", [JSON_TYPE], "[".repeat(9_999) + "]".repeat(9_999)),
  ],
  ["an unknown charset", 415, written("POST /disconnect", [`${JSON_TYPE}; charset=x`], "{}")],
  ["2000 parameters", 413, written("POST /disconnect", [FORM], "a&".repeat(2_000))],
  ["deep parameters", 400, written("POST /disconnect", [FORM], `a${"[a]".repeat(2_000)}=b`)],
  ["a polluting form", 400, written("POST /disconnect", [FORM], "__proto__[session]=a")],
  ["a form without a type", 415, written("POST /disconnect", [], "csrf=a")],
  [
    "a form of many parts",
    415,
    written("POST /disconnect", ["content-type: multipart/form-data; boundary=a"], "--a--"),
  ],
  ["a PUT", 405, written("PUT /")],
  ["an unknown method", 400, written("BREW /")],
  ["a method in lower case", 400, written("get /")],
  ["a TRACE", 400, written("TRACE /")],
  ["a CONNECT", 0, written("CONNECT evil.example.com:443")],
  ["an absolute address", 404, written("GET http://evil.example.com/callback?code=a")],
  ["an address relative to the scheme", 404, written("GET //evil.example.com/callback")],
  ["an encoded slash", 404, written("GET /%2e%2e%2fcallback")],
  ["a broken encoding", 400, written("GET /%E0%A4%A")],
  ["bytes beyond ASCII", 400, written("GET /\u00e9\u00ff")],
  ["a space in the address", 400, written("GET /a b")],
  ["a repeated parameter", 303, written("GET /callback?code=a&code=b&state=c")],
  ["the page behind it", 400, written("GET /refused/session_lost")],
  ["an override of the method", 405, written("GET /disconnect", ["X-HTTP-Method-Override: POST"])],
  ["two hosts", 303, written("GET /start", ["Host: a.example.com", "Host: b.example.com"])],
  ["no host", 400, Buffer.from("GET / HTTP/1.1\r\nconnection: close\r\n\r\n")],
  [
    "two lengths",
    400,
    written("POST /disconnect", ["content-length: 1", "content-length: 2"], "ab"),
  ],
  [
    "a length and chunks",
    400,
    written("POST /disconnect", ["content-length: 5", "transfer-encoding: chunked"], "0\r\n\r\n"),
  ],
  ["a broken chunk", 400, written("POST /disconnect", ["transfer-encoding: chunked"], "zz\r\n")],
  ["a negative length", 400, written("POST /disconnect", ["content-length: -1"], "")],
  ["a cookie of 8 kB", 200, written("GET /", [`cookie: session=${"a".repeat(8_192)}`])],
  ["a cookie of 100 kB", 431, written("GET /", [`cookie: session=${"a".repeat(100_000)}`])],
  ["two cookie headers", 200, written("GET /", ["cookie: session=a", "cookie: session=b"])],
  ["a folded header", 400, written("GET /", ["a: b\r\n c"])],
  ["a header without a name", 400, written("GET /", [": b"])],
  ["NUL in a header", 400, written("GET /", ["a: b\u0000c"])],
  [
    "bytes beyond ASCII in a header",
    200,
    written("GET /", ["a: \u00e9\u00ff", "cookie: \u00e9=1"]),
  ],
  [
    "two requests in one",
    400,
    Buffer.concat([written("GET /"), written("GET /callback?state=a&code=b")]),
  ],
  ["HTTP/2 without asking", 400, Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
  ["no HTTP", 400, Buffer.from("\u0016\u0003\u0001\u0002\u0000")],
];

const BINARY = [
  "ce-id: 1",
  "ce-source: //pubsub.googleapis.com/a",
  "ce-specversion: 1.0",
  "ce-type: google.cloud.pubsub.topic.v1.messagePublished",
];
const STRUCTURED = "content-type: application/cloudevents+json";
const NOTHING = JSON.stringify({ message: { data: "e30=", messageId: "1" }, subscription: "s" });

/** What comes to `gmailNotification`. */
export const EVENTS: readonly [string, number, Buffer][] = [
  ["in binary mode", 204, written("POST /", [...BINARY, JSON_TYPE], NOTHING)],
  ["without a type of its content", 204, written("POST /", BINARY, NOTHING)],
  [
    "of another type",
    204,
    written("POST /", [...BINARY.slice(0, 3), "ce-type: a", JSON_TYPE], NOTHING),
  ],
  [
    "of another version",
    204,
    written("POST /", [...BINARY, "ce-specversion: 9", JSON_TYPE], NOTHING),
  ],
  [
    "in structured mode",
    204,
    written(
      "POST /",
      [STRUCTURED],
      `{"specversion":"1.0","id":"1","source":"s","type":"t","data":${NOTHING}}`,
    ),
  ],
  [
    "in structured mode without data",
    204,
    written("POST /", [STRUCTURED], '{"specversion":"1.0","id":"1","source":"s","type":"t"}'),
  ],
  ["in structured mode, as a list", 204, written("POST /", [STRUCTURED], "[]")],
  [
    "in structured mode, as a batch",
    204,
    written("POST /", ["content-type: application/cloudevents-batch+json"], "[]"),
  ],
  ["with a body that is no JSON", 204, written("POST /", [...BINARY, JSON_TYPE], "{")],
  ["as JSON without an object", 204, written("POST /", [JSON_TYPE], "1")],
  ["in an unknown charset", 204, written("POST /", [`${JSON_TYPE}; charset=foo`], NOTHING)],
  [
    "as a form of 2,000 fields",
    204,
    written("POST /", ["content-type: application/x-www-form-urlencoded"], "a=b&".repeat(2_000)),
  ],
  ["as text", 204, written("POST /", [...BINARY, "content-type: text/plain"], NOTHING)],
  [
    "as text with a trace",
    204,
    written("POST /", ["content-type: text/plain", "traceparent: a"], NOTHING),
  ],
  ["in structured mode, as null", 204, written("POST /", [STRUCTURED], "null")],
  ["without anything", 204, written("POST /")],
  ["with an empty body", 204, written("POST /", [...BINARY, JSON_TYPE], "")],
  [
    "with deep JSON",
    204,
    written(
      "POST /",
      [...BINARY, JSON_TYPE],
      `{"message":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
    ),
  ],
  ["as Pub/Sub itself pushes", 204, written("POST /", [JSON_TYPE], NOTHING)],
  [
    "with 1 MB",
    204,
    written("POST /", [...BINARY, JSON_TYPE], JSON.stringify({ message: { data: MB } })),
  ],
  [
    "with a polluting body",
    204,
    written("POST /", [...BINARY, JSON_TYPE], '{"__proto__":{"message":{"data":"e30="}}}'),
  ],
  ["as a GET", 405, written("GET /")],
];
