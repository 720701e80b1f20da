import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, it } from "vitest";

// In processes of their own: `node:domain` makes every promise of a process slower.
function run(program: string, env: Record<string, string> = {}): unknown {
  const args = ["--import", "tsx", "--input-type=module", "--eval", program];
  const printed = execFileSync(process.execPath, args, {
    cwd: path.join(import.meta.dirname, "../.."),
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return JSON.parse(printed.trimEnd().split("\n").at(-1) ?? "");
}

const SERVED = `
  import { Domain } from "node:domain";
  import { once } from "node:events";
  import { getTestServer } from "@google-cloud/functions-framework/testing";
  const { run } = Domain.prototype;
  let domains = 0;
  Domain.prototype.run = function (...args) {
    domains++;
    return run.apply(this, args);
  };
  await import("./functions/src/entries/gcloud.ts");
  const server = getTestServer(process.env.FUNCTION_TARGET).listen(0, "127.0.0.1");
  await once(server, "listening");
  await fetch("http://127.0.0.1:" + server.address().port, { method: "POST" });
  process.stdout.write(JSON.stringify(domains) + "\\n", () => process.exit());
`;

it.each([
  ["gmailNotification", 0],
  ["mailboxReconciliation", 1],
  ["connect", 1],
])("%s of the gcloud folder is served in %d domains", (target, domains) => {
  expect(run(SERVED, { FUNCTION_TARGET: target })).toBe(domains);
});

const LEFT = `
  import { create } from "node:domain";
  import { leaveDomain } from "./functions/src/entries/domains.ts";
  const inDomain = async () => (await 0, process.domain != null);
  const left = async () => (leaveDomain(), inDomain());
  const both = await create().run(async () => [await inDomain(), await left()]);
  console.log(JSON.stringify([...both, await left()]));
`;

it("continues a request outside the domain, and does nothing where there is none", () => {
  expect(run(LEFT)).toEqual([true, false, false]);
});
