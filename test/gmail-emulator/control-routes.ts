import { Hono } from "hono";
import { cors } from "hono/cors";
import { z } from "zod";
import { isLoopbackOrigin } from "../support/loopback-only.ts";
import { type Controlled, controlActs } from "./control-acts.ts";

/**
 * The acts of people and developers, and the faults, as `POST /emulator/{act}` with a JSON object;
 * the truth as `GET /emulator/state`. A page on another loopback port may steer the emulator. Answers carry no secret except a security event token.
 */
export function controlRoutes(emulator: Controlled) {
  const routes = new Hono();
  routes.use(cors({ origin: (origin) => (isLoopbackOrigin(origin) ? origin : null) }));

  routes.get("/state", (context) =>
    context.json({
      accounts: emulator.accounts(),
      settings: emulator.settings,
      push: emulator.pushCounters(),
    }),
  );
  routes.get("/accounts/:address", (context) => {
    const found = emulator.findAccount(context.req.param("address"));
    return found === undefined
      ? context.json({ error: "no such account" }, 404)
      : context.json(found);
  });
  routes.get("/calls", (context) => context.json(emulator.calls));

  for (const [path, act] of Object.entries(controlActs())) {
    routes.post(`/${path}`, async (context) => {
      const body: unknown = await context.req.json().catch(() => undefined);
      try {
        return context.json((await act(emulator, body)) ?? {});
      } catch (error) {
        if (error instanceof z.ZodError)
          return context.json({ error: z.prettifyError(error) }, 400);
        return context.json({ error: error instanceof Error ? error.message : "failed" }, 409);
      }
    });
  }
  return routes;
}
