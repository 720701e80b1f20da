import { Hono } from "hono";
import { html } from "hono/html";
import { type OnceStore, type PushOptions, once, parse, verifyPush } from "gmail-push-subscriber";
import { type Desk, type GmailFor, handle } from "./help-desk.ts";

export interface HelpDeskOptions {
  /** What a delivery of our push subscription has to prove. */
  subscription: PushOptions;
  gmailFor: GmailFor;
  /** Remembers handled events: `firestoreStore` where there are several instances. */
  store: OnceStore;
  desk: Desk;
  log(line: string): void;
}

/** A help desk behind a Pub/Sub push subscription: a ticket for each mail that reaches an inbox. */
export function helpDesk({ subscription, gmailFor, store, desk, log }: HelpDeskOptions): Hono {
  const handleOnce = once(store);

  return new Hono()
    .post("/changes", async (context) => {
      const verified = await verifyPush({ headers: context.req.raw.headers }, subscription);
      if (verified.kind === "refused") return context.text("", 401);
      if (verified.kind === "unavailable") return context.text("", 503);

      const parsed = parse(await context.req.json().catch(() => undefined));
      switch (parsed.kind) {
        case "malformed":
          // It would be as malformed when it is delivered again.
          log(`dropped a message: ${parsed.why}`);
          return context.body(null, 204);
        case "unknown":
          return context.body(null, 204);
        case "event":
          break;
      }

      const { event } = parsed;
      try {
        const outcome = await handleOnce(event, () => handle(event, desk, gmailFor));
        if (outcome === "busy") return context.text("", 503);
        if (outcome === "handled") log(`${event.type} ${event.id}`);
        return context.body(null, 204);
      } catch (error) {
        log(`${event.type} ${event.id} failed: ${error instanceof Error ? error.message : "?"}`);
        return context.text("", 500);
      }
    })

    .get("/tickets", (context) =>
      context.json({ tickets: [...desk.tickets.values()], notices: desk.notices }),
    )

    .get("/", (context) =>
      context.html(
        html`<!doctype html>
          <title>Help desk</title>
          <h1>Tickets</h1>
          ${[...desk.tickets.values()].map(
            ({ from, subject, text, mailbox, isDeleted }) =>
              html`<article>
                <h2>${subject}${isDeleted === true ? " (deleted)" : ""}</h2>
                <p>From ${from} to ${mailbox}</p>
                <pre>${text}</pre>
              </article>`,
          )}
          <h1>Notices</h1>
          ${desk.notices.map(({ mailbox, text }) => html`<p>${mailbox}: ${text}</p>`)}`,
      ),
    );
}
