import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import type { GmailMethod } from "./gmail-api.ts";
import type { GmailModel } from "./model.ts";
import { type CallServices, type EmulatorContext, serveCall } from "./serve-call.ts";

/** The Gmail API on its own paths: what the client library calls when its `rootUrl` is ours. */
export function gmailRoutes(model: GmailModel, services: CallServices) {
  const answer = (method: GmailMethod) => async (context: EmulatorContext) => {
    const accessToken = bearerToken(context.req.header("authorization"));
    const account = accessToken === undefined ? undefined : model.ownerOf(accessToken);
    const body = context.req.method === "POST" ? await readJson(context) : undefined;
    const { query, userId, id } = {
      query: new URL(context.req.url).searchParams,
      userId: context.req.param("userId") ?? "",
      id: context.req.param("id") ?? "",
    };
    return serveCall(context, services, { method, account }, () =>
      model.gmail({
        method,
        ...(accessToken !== undefined && { accessToken }),
        userId,
        query,
        body,
        id,
      }),
    );
  };

  const users = "/gmail/v1/users/:userId";
  return new Hono<{ Bindings: HttpBindings }>()
    .get(`${users}/profile`, answer("users.getProfile"))
    .post(`${users}/watch`, answer("users.watch"))
    .post(`${users}/stop`, answer("users.stop"))
    .get(`${users}/history`, answer("history.list"))
    .get(`${users}/messages`, answer("messages.list"))
    .get(`${users}/messages/:id`, answer("messages.get"))
    .get(`${users}/labels`, answer("labels.list"));
}

function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer\s+(\S+)$/i.exec(authorization ?? "")?.[1];
}

async function readJson(context: EmulatorContext): Promise<unknown> {
  const text = await context.req.text();
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
