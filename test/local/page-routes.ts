import { fileURLToPath } from "node:url";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { z } from "zod";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { controlRoutes } from "../gmail-emulator/control-routes.ts";
import type { LiveFeed } from "./live-feed.ts";
import { parseScheduleName } from "./schedules.ts";
import type { LocalStack } from "./stack.ts";

const FILES = fileURLToPath(new URL("./page", import.meta.url));

/** What the page uses in addition to the stack. */
export interface PageServices {
  feed: LiveFeed;
  /** Moves the time forward, and runs what came due. */
  travel(forwardMs: number): Promise<void>;
  /** Delivers an event once more; absent without a subscriber. */
  resend?: (event: PubsubCloudEvent) => void;
}

const FORWARD_MS_MAX = 30 * 86_400_000;
const TRAVEL = z.strictObject({ forwardMs: z.int().positive().max(FORWARD_MS_MAX) });
const RESEND = z.strictObject({ id: z.string() });

/**
 * The page and what it needs: `GET /live` tells what happens, `POST /emulator/{act}` does what
 * people and Google do, `POST /schedules/{name}` runs a schedule now, `POST /clock` moves the time
 * forward, and `POST /resend` delivers an event to the subscriber once more.
 */
export function pageRoutes(stack: LocalStack, { feed, travel, resend }: PageServices): Hono {
  const routes = new Hono();

  routes.use(
    secureHeaders({
      strictTransportSecurity: false,
      contentSecurityPolicy: { defaultSrc: ["'self'"], frameAncestors: ["'none'"] },
    }),
  );
  routes.use(async (context, next) => {
    await next();
    context.res.headers.set("cache-control", "no-store");
  });

  routes.get("/live", (context) => {
    const stream = feed.open(context.req.header("last-event-id"));
    return context.body(stream, { headers: { "content-type": "text/event-stream" } });
  });
  routes.post("/schedules/:name", async (context) => {
    const name = parseScheduleName(context.req.param("name"));
    if (name === undefined) return context.json({ error: "no such schedule" }, 404);
    return context.json({ status: await stack.runSchedule(name) });
  });
  routes.post("/clock", async (context) => {
    const wish = TRAVEL.safeParse(await context.req.json().catch(() => undefined));
    if (!wish.success) return context.json({ error: z.prettifyError(wish.error) }, 400);
    await travel(wish.data.forwardMs);
    return context.json({});
  });
  routes.post("/resend", async (context) => {
    const wish = RESEND.safeParse(await context.req.json().catch(() => undefined));
    if (!wish.success) return context.json({ error: z.prettifyError(wish.error) }, 400);
    if (resend === undefined) {
      return context.json({ error: "no subscriber: restart with npm start -- --push URL" }, 409);
    }
    const event = publishedEvent(feed, wish.data.id);
    if (event === undefined) return context.json({ error: "no such event" }, 404);
    resend(event);
    return context.json({});
  });
  routes.route("/emulator", controlRoutes(stack.emulator));
  routes.get("*", serveStatic({ root: FILES }));
  return routes;
}

/** Returns an event as it was published; `undefined` if the page does not show it any more. */
function publishedEvent(feed: LiveFeed, id: string): PubsubCloudEvent | undefined {
  for (const { kind, data } of feed.entries()) {
    if (kind !== "published") continue;
    const { data: json, attributes, orderingKey } = data as PublishedEntry;
    if (attributes["ce-id"] === id) return { attributes, json, orderingKey };
  }
  return undefined;
}

type PublishedEntry = Omit<PubsubCloudEvent, "json"> & { data: PubsubCloudEvent["json"] };
