import { serve } from "@hono/node-server";
import { exampleApplication } from "./application.ts";
import { LOCAL } from "./local.ts";

const env: Partial<Record<string, string>> = process.argv.includes("--local")
  ? { ...LOCAL, ...process.env }
  : process.env;
const { RECEIVER_URL, RETURN_TO_SECRET, PORT = LOCAL.PORT } = env;
if (!RECEIVER_URL || !RETURN_TO_SECRET) {
  console.error("set RECEIVER_URL and RETURN_TO_SECRET, or give --local");
  process.exit(2);
}

const hostname = "127.0.0.1";
const origin = `http://${hostname}:${PORT}`;
const { fetch } = exampleApplication({
  origin,
  receiverUrl: RECEIVER_URL,
  secret: RETURN_TO_SECRET,
  now: () => new Date(),
});
const server = serve({ fetch, hostname, port: Number(PORT) }, () =>
  console.log(`the application: ${origin}/`),
);
server.once("error", ({ code, message }: NodeJS.ErrnoException) => {
  const inUse = `port ${PORT} is in use: end the program that has it, or set PORT`;
  console.error(code === "EADDRINUSE" ? inUse : message);
  process.exit(1);
});
