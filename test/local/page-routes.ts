import { fileURLToPath } from "node:url";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { controlRoutes } from "../gmail-emulator/control-routes.ts";
import type { LiveFeed } from "./live-feed.ts";
import { parseScheduleName } from "./schedules.ts";
import type { LocalStack } from "./stack.ts";

const FILES = fileURLToPath(new URL("./page", import.meta.url));

/**
 * The page and what it needs: `GET /live` tells what happens, `POST /emulator/{act}` does what
 * people and Google do, `POST /schedules/{name}` runs a schedule now.
 */
export function pageRoutes(stack: LocalStack, feed: LiveFeed): Hono {
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
  routes.route("/emulator", controlRoutes(stack.emulator));
  routes.get("*", serveStatic({ root: FILES }));
  return routes;
}
