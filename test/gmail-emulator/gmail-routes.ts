import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { type GmailMethod, METHODS } from "./methods.ts";
import type { GmailModel } from "./model.ts";
import { type CallServices, type EmulatorContext, serveCall } from "./serve-call.ts";
import { UPLOADS, readUpload } from "./uploads.ts";

/** The Gmail API on its own paths: what the client library calls when its `rootUrl` is ours. */
export function gmailRoutes(model: GmailModel, services: CallServices) {
  const answer = (method: GmailMethod, readBody: ReadBody) => async (context: EmulatorContext) => {
    const accessToken = bearerToken(context.req.header("authorization"));
    const account = accessToken === undefined ? undefined : model.ownerOf(accessToken);
    const body = context.req.method !== "GET" ? await readBody(context) : undefined;
    const query = new URL(context.req.url).searchParams;
    const { userId = "", ...named }: Record<string, string> = context.req.param();
    return serveCall(context, services, { method, account }, () =>
      model.gmail({
        method,
        ...(accessToken !== undefined && { accessToken }),
        userId,
        query,
        body,
        ids: Object.values(named),
      }),
    );
  };

  const routes = new Hono<{ Bindings: HttpBindings }>();
  // A word of the path comes before an id in its place: `messages/send` is no message.
  const methods = Object.entries(METHODS).toSorted(([, a], [, b]) => idsIn(a.path) - idsIn(b.path));
  for (const [name, { http, path }] of methods) {
    let number = 0;
    const named = path.replaceAll(":id", () => `:id${number++}`);
    const at = `/gmail/v1/users/:userId/${named}`;
    routes.on(http, at, answer(name as GmailMethod, readJson));
    if (isUpload(name)) routes.on(http, `/upload${at}`, answer(name, readUploadOf(name)));
  }
  return routes;
}

type ReadBody = (context: EmulatorContext) => Promise<unknown>;

const isUpload = (method: string): method is keyof typeof UPLOADS => method in UPLOADS;

const readUploadOf =
  (method: keyof typeof UPLOADS): ReadBody =>
  async ({ req }) =>
    readUpload(method, req.header("content-type") ?? "", Buffer.from(await req.arrayBuffer()));

function idsIn(path: string): number {
  return path.split(":").length - 1;
}

function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer\s+(\S+)$/i.exec(authorization ?? "")?.[1];
}

async function readJson(context: EmulatorContext): Promise<unknown> {
  try {
    const text = await context.req.text();
    return text === "" ? {} : JSON.parse(text);
  } catch {
    return undefined;
  }
}
