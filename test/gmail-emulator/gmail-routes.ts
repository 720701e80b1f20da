import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { type GmailMethod, METHODS } from "./methods.ts";
import type { GmailModel } from "./model.ts";
import { type CallServices, type EmulatorContext, serveCall } from "./serve-call.ts";

/** The Gmail API on its own paths: what the client library calls when its `rootUrl` is ours. */
export function gmailRoutes(model: GmailModel, services: CallServices) {
  const answer = (method: GmailMethod) => async (context: EmulatorContext) => {
    const accessToken = bearerToken(context.req.header("authorization"));
    const account = accessToken === undefined ? undefined : model.ownerOf(accessToken);
    const body = context.req.method !== "GET" ? await readJson(context) : undefined;
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
    routes.on(http, `/gmail/v1/users/:userId/${named}`, answer(name as GmailMethod));
  }
  return routes;
}

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
