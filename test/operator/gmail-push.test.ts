import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Operator } from "../../infra/cli/operator.ts";
import type { UserStore } from "../../functions/src/domain/user.ts";
import { memoryUsers } from "../support/memory-users.ts";
import { runProgram } from "./operator-cli.ts";
import { keyRing } from "../support/test-keys.ts";

const COMMANDS = ["doctor", "mailboxes", "keys", "risc", "costs"];
const BIN = path.resolve(import.meta.dirname, "../../infra/cli/gmail-push.js");

/** Runs the program on this store. */
function runOn(users: UserStore, ...args: string[]) {
  return runProgram(args, {}, (log): Operator => ({
    users,
    clock: { now: () => new Date(), sleep: () => Promise.resolve() },
    log,
    getKeyRing: () => Promise.resolve(keyRing("b", "a")),
    getContext: () => Promise.reject(new Error("a command asked for Google")),
    close: () => Promise.resolve(),
  }));
}

describe("gmail-push", () => {
  it("names its commands and its exit codes, and every command the same exit codes", async () => {
    const { code, lines } = await runProgram(["--help"]);
    expect(code).toBe(0);
    const text = lines.join("\n");
    for (const command of COMMANDS) expect(text).toMatch(new RegExp(`^  ${command} +\\S`, "m"));
    const exitCodes = text.slice(text.indexOf("Exit codes: 0 done; 1 not done"));
    expect(exitCodes).toMatch(/ 2 wrong usage.*\n3 \(doctor\)/);
    for (const command of COMMANDS) {
      const help = await runProgram([command, "--help"]);
      expect([command, help.code]).toEqual([command, 0]);
      expect(help.lines.join("\n")).toContain(exitCodes);
    }
  });

  it.each([
    [],
    ["unknown"],
    ["--unknown"],
    ["doctor", "--wait", "soon"],
    ["doctor", "--project", "!"],
    ["doctor", "--local", "/nowhere/operator.env"],
    ["mailboxes"],
    ["mailboxes", "show"],
    ["keys"],
    ["keys", "generate", "--primary"],
    ["risc"],
    ["risc", "register", "--url", "nowhere"],
    ["costs", "--mailboxes", "many"],
    ["costs", "unknown"],
  ])("exits with 2 for %j, prints no result, and says what is wrong", async (...args) => {
    const { code, lines, notes } = await runProgram(args);
    expect([code, lines]).toEqual([2, []]);
    expect(notes[0]).toMatch(/^(error: |Usage: )/);
  });

  it("takes --json before and after a command", async () => {
    const [before, after] = [
      await runOn(memoryUsers(), "--json", "mailboxes", "stats"),
      await runOn(memoryUsers(), "mailboxes", "stats", "--json"),
    ];
    for (const { code, lines } of [before, after]) {
      expect([code, lines.length]).toEqual([0, 1]);
      expect(JSON.parse(lines[0] ?? "")).toMatchObject({ users: 0 });
    }
  });

  it("escapes control characters in every quoted error", async () => {
    const { code, notes } = await runProgram(["doctor", "--only", "\u001B[2J", "--local"]);
    expect(code).toBe(2);
    expect(notes[0]).toContain("error: there is no check \\u001b[2J");
  });

  it("says where a bug is, without its message, which can contain a token", async () => {
    const broken: UserStore = {
      ...memoryUsers(),
      listAll: () => Promise.reject(new TypeError("ya29.secret")),
    };
    const { code, notes } = await runOn(broken, "mailboxes", "stats");
    expect([code, notes[0]]).toEqual([1, "error: TypeError"]);
    expect(notes[1]).toMatch(/^ +at .*gmail-push\.test\.ts/);
    expect(notes.join("\n")).not.toContain("ya29");
  });

  it("reports the documents that the store could not read, and fails", async () => {
    const users: UserStore = {
      ...memoryUsers(),
      listAll: () => Promise.resolve({ users: [], unreadable: ["x", "y"] }),
    };
    for (const command of ["verify", "reseal"]) {
      const { code, lines } = await runOn(users, "keys", command, "--json");
      expect(code).toBe(1);
      expect(JSON.parse(lines[0] ?? "")).toMatchObject({ unreadableDocuments: 2 });
    }
    expect((await runOn(memoryUsers(), "keys", "verify")).code).toBe(0);
  });

  it("runs from any folder, by its link", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "gmail-push-"));
    try {
      const link = path.join(folder, "gmail-push");
      symlinkSync(BIN, link);
      const { status, stdout } = spawnSync(link, ["costs", "--json", "--mailboxes", "1"], {
        cwd: folder,
        encoding: "utf8",
      });
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ bills: [{ mailboxes: 1 }] });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
