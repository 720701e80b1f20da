import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { buildEmulator } from "../../functions/emulator-package.ts";
import { ROOT, VERSION, installPacked, run } from "../subscriber/packed.ts";

/** Goal: another project, which has only the archive and Node, tests against the emulator. */

const TIMEOUT_MS = 120_000;

let folder: string;
let user: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "gmail-emulator-package-"));
  user = await installPacked(folder, buildEmulator);
}, TIMEOUT_MS);
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const inUser = (file: string) => path.join(user, file);

/** Starts the installed program. Returns its address, and what ends it as Ctrl-C does. */
async function start(...options: string[]) {
  const program = inUser("node_modules/.bin/gmail-emulator");
  const env = { PATH: process.env["PATH"] };
  const child = spawn(program, ["--port", "0", ...options], { cwd: user, env });
  running.push(child);
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const url = line.replace("GMAIL_EMULATOR_HOST=", "http://");
  const end = async () => {
    const exited = once(child, "exit");
    child.kill("SIGINT");
    expect(await exited).toEqual([0, null]);
  };
  return { url, host: new URL(url).port, end };
}

async function act(url: string, name: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${url}/emulator/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return response.json();
}

async function accountsOf(url: string): Promise<{ email: string; messages: unknown[] }[]> {
  const state = (await (await fetch(`${url}/emulator/state`)).json()) as {
    accounts: { email: string; messages: unknown[] }[];
  };
  return state.accounts;
}

describe("the package of the emulator", { timeout: TIMEOUT_MS }, () => {
  it("is installed without a network, and brings no other package", () => {
    const installed = readdirSync(inUser("node_modules")).filter((name) => !name.startsWith("."));
    expect(installed).toEqual(["gmail-emulator"]);
    const own = (file: string) =>
      readFileSync(inUser(`node_modules/gmail-emulator/${file}`), "utf8");
    const manifest = JSON.parse(own("package.json"));
    expect(manifest).toMatchObject({ name: "gmail-emulator", version: VERSION });
    expect(manifest).not.toHaveProperty("dependencies");
    for (const name of ["hono", "zod"]) {
      expect(own("THIRD-PARTY-NOTICES.txt")).toMatch(new RegExp(`^${name} \\d`, "m"));
    }
  });

  it("starts as a program, and goes on from its state after a restart", async () => {
    const first = await start("--account", "grace@example.com", "--state", "google.state");
    await act(first.url, "deliver", { account: "grace@example.com", subject: "Hello" });
    await first.end();
    const second = await start("--state", "google.state");
    expect(await accountsOf(second.url)).toMatchObject([
      { email: "grace@example.com", messages: [{ subject: "Hello" }] },
    ]);
    await second.end();
  });

  it("says what is wrong in one line", async () => {
    const { host } = await start();
    writeFileSync(inUser("other.state"), "something else");
    const program = inUser("node_modules/.bin/gmail-emulator");
    for (const [options, problem] of [
      [["--port", host], `Port ${host} is in use: choose another with --port, or 0.\n`],
      [["--port", "many"], "--port many: not a port\n"],
      [["--port", "0", "--state", "other.state"], "this is no saved state of the Gmail emulator\n"],
    ] as const) {
      const { status, stderr } = spawnSync(program, options, { cwd: user, encoding: "utf8" });
      expect([status, stderr]).toEqual([1, problem]);
    }
  });

  it("is a module for tests", () => {
    const use = `
      import { startGmailEmulator } from "gmail-emulator";
      const emulator = await startGmailEmulator();
      emulator.createAccount({ email: "ada@example.com" });
      emulator.deliver("ada@example.com", { subject: "Hello" });
      console.log(emulator.account("ada@example.com").messages[0].subject);
      await emulator.close();
    `;
    writeFileSync(inUser("use.mjs"), use);
    expect(run(process.execPath, ["use.mjs"], user)).toBe("Hello\n");
  });

  it("has types that need nothing but Node's", () => {
    const typed = `
      import { createGmailModel, type GmailEmulator, startGmailEmulator } from "gmail-emulator";
      const emulator: GmailEmulator = await startGmailEmulator({ port: 0 });
      export const id: string = emulator.deliver("ada@example.com", { subject: "Hello" }).messageId;
      // @ts-expect-error: a subject is a text.
      createGmailModel().deliver("ada@example.com", { subject: 1 });
    `;
    writeFileSync(inUser("typed.mts"), typed);
    const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc");
    const options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2023"];
    const types = ["--typeRoots", path.join(ROOT, "node_modules/@types"), "--types", "node"];
    expect(run(process.execPath, [tsc, ...options, ...types, "typed.mts"], user)).toBe("");
  });
});
