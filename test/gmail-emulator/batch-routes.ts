import { STATUS_CODES } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { invalidArgument } from "./errors.ts";
import { type Part, parseMail, valueOf } from "./mime.ts";

/** Google's limit. */
const CALLS_MAX = 100;
const BOUNDARY = "batch_emulated";
const HERE = "http://localhost";

type Served = Hono<{ Bindings: HttpBindings }>;

/**
 * The batch endpoint: calls of the Gmail API as parts of one request (`multipart/mixed` of
 * `application/http`), answered in their order. Each counts as a call of its own.
 */
export function batchRoutes(gmail: Served): Served {
  return new Hono<{ Bindings: HttpBindings }>().on(
    "POST",
    ["/batch", "/batch/gmail/v1"],
    async (context) => {
      const type = context.req.header("content-type") ?? "";
      const body = Buffer.from(await context.req.arrayBuffer());
      const { parts } = parseMail(
        Buffer.concat([Buffer.from(`Content-Type: ${type}\r\n\r\n`), body]),
      );
      if (parts.length === 0 || parts.length > CALLS_MAX) {
        const { status, body: error } = invalidArgument(
          `A batch has 1 to ${CALLS_MAX} calls, and this one has ${parts.length}`,
        );
        return Response.json(error, { status });
      }
      const answers: string[] = [];
      for (const part of parts) {
        const request = requestOf(part, context.req.header("authorization"));
        const answer =
          request === undefined
            ? new Response("", { status: 400 })
            : await gmail.request(request, undefined, context.env);
        answers.push(await answerPart(part, answer));
      }
      const text = answers.map((answer) => `--${BOUNDARY}\r\n${answer}\r\n`).join("");
      return new Response(`${text}--${BOUNDARY}--\r\n`, {
        headers: { "content-type": `multipart/mixed; boundary=${BOUNDARY}` },
      });
    },
  );
}

/** `GET /gmail/v1/users/me/profile`, header fields and a body; `undefined` for anything else. */
function requestOf({ body }: Part, authorization: string | undefined): Request | undefined {
  const text = body.toString();
  const [, method = "GET", target, rest = ""] =
    /^\s*([A-Z]+) (\S+)(?: HTTP\/[\d.]+)?(?:\r?\n([^]*))?$/.exec(text) ?? [];
  if (target === undefined || !URL.canParse(target, HERE)) return undefined;
  const { pathname, search } = new URL(target, HERE);
  const inner = parseMail(Buffer.from(rest));
  const own = valueOf(inner.headers, "Authorization") ?? authorization;
  return new Request(new URL(pathname + search, HERE), {
    method,
    headers: {
      ...(own !== undefined && { authorization: own }),
      "content-type": valueOf(inner.headers, "Content-Type") ?? "application/json",
    },
    ...(method !== "GET" && method !== "HEAD" && { body: new Uint8Array(inner.body) }),
  });
}

async function answerPart({ headers }: Part, answer: Response): Promise<string> {
  const id = valueOf(headers, "Content-ID");
  const named = id === undefined ? [] : [`Content-ID: ${id.replace(/^<?/, "<response-")}`];
  const type = answer.headers.get("content-type") ?? "application/json; charset=UTF-8";
  const body = await answer.text();
  return [
    "Content-Type: application/http",
    ...named,
    "",
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`,
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}
