import path from "node:path";
import { networkInterfaces } from "node:os";
import { afterEach, expect, it } from "vitest";
import { requiredEnv } from "../local/environment.ts";
import { type ServedFunction, serveFunction } from "./framework-cli.ts";

/**
 * Goal: what the tests serve is reached from this machine only, although the functions-framework
 * listens on every interface by itself.
 */

const SOURCE = path.resolve(import.meta.dirname, "../../functions/dist/gcloud");
const [address] = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .filter(({ internal, family }) => !internal && family === "IPv4")
  .map((each) => each.address);

let served: ServedFunction | undefined;
afterEach(() => served?.stop());

it.skipIf(address === undefined)("serves no function on another interface", async () => {
  const env = requiredEnv();
  served = await serveFunction({ node: process.execPath, source: SOURCE, target: "connect", env });
  const { port } = new URL(served.url);
  expect((await fetch(`${served.url}/robots.txt`)).status).toBe(404);
  await expect(fetch(`http://${address}:${port}/robots.txt`)).rejects.toThrow("fetch failed");
});
