import { randomBytes } from "node:crypto";
import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { html } from "hono/html";
import { type Connection, readConnection } from "./connection.ts";

export interface ApplicationOptions {
  /** Where this application is. The receiver has `{origin}/connected` registered. */
  origin: string;
  /** `PUBLIC_URL` of the receiver. */
  receiverUrl: string;
  /** `RETURN_TO_SECRET` of the receiver. */
  secret: string;
  now(): Date;
}

/** What this application knows of the person in front of one browser. */
interface Session {
  /** Sent to the receiver as `app_state`, and used up by the first answer that comes back. */
  pending?: string;
  mailbox?: Connection;
}

const SESSION = "app_session";

/** An application that lets a person connect a mailbox, and knows afterwards whose it is. */
export function exampleApplication(options: ApplicationOptions): Hono {
  const { origin, receiverUrl, now } = options;
  const returnTo = `${origin}/connected`;
  const sessions = new Map<string, Session>();
  const used = new Map<string, Date>();

  /** In memory: an application with several instances needs a store for this. */
  function useOnce(id: string, expiresAt: Date): boolean {
    for (const [each, until] of used) if (until <= now()) used.delete(each);
    if (used.has(id)) return false;
    used.set(id, expiresAt);
    return true;
  }

  return new Hono()
    .get("/", (context) => {
      const session = sessions.get(getCookie(context, SESSION) ?? "");
      const mailbox = session?.mailbox?.email ?? "none";
      return context.html(
        html`<!doctype html>
          <title>Example application</title>
          <p>Your mailbox: ${mailbox}</p>
          <form method="post" action="/connect"><button>Connect Gmail</button></form>`,
      );
    })

    .post("/connect", (context) => {
      const id = getCookie(context, SESSION) ?? randomToken();
      const pending = randomToken();
      sessions.set(id, { ...sessions.get(id), pending });
      setCookie(context, SESSION, id, { httpOnly: true, sameSite: "Lax", path: "/" });
      const query = new URLSearchParams({
        return_to: returnTo,
        app_state: pending,
      });
      return context.redirect(`${receiverUrl}/start?${query}`, 303);
    })

    .get("/connected", async (context) => {
      const session = sessions.get(getCookie(context, SESSION) ?? "");
      const pending = session?.pending;
      if (session === undefined || pending === undefined) return context.text("not asked for", 403);
      // Before anything is looked at: an answer is taken once, whether it is good or not.
      delete session.pending;
      const token = context.req.query("connection") ?? "";
      const connection = await readConnection(token, pending, { ...options, returnTo, useOnce });
      if (connection === undefined) return context.text("not taken", 403);
      session.mailbox = connection;
      return context.redirect("/", 303);
    });
}

function randomToken(): string {
  return randomBytes(32).toString("base64url");
}
