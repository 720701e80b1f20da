import { serve } from "@hono/node-server";
import { exampleApplication } from "./application.ts";

const { RECEIVER_URL, RETURN_TO_SECRET, PORT = "8090" } = process.env;
if (!RECEIVER_URL || !RETURN_TO_SECRET) {
  console.error("set RECEIVER_URL and RETURN_TO_SECRET (and PORT, if 8090 is taken)");
  process.exit(1);
}

const hostname = "127.0.0.1";
const origin = `http://${hostname}:${PORT}`;
const { fetch } = exampleApplication({
  origin,
  receiverUrl: RECEIVER_URL,
  secret: RETURN_TO_SECRET,
  now: () => new Date(),
});
serve({ fetch, hostname, port: Number(PORT) }, () => console.log(origin));
