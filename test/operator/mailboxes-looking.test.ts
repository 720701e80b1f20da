import type { Sealed, User, UserStore } from "../../functions/src/domain/user.ts";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../functions/src/domain/clock.ts";
import { ConfigError } from "../../functions/src/config/config.ts";
import type { Log } from "../../functions/src/platform/log.ts";
import type { Operator } from "../../infra/cli/operator.ts";
import { type CommandOptions, runCommand } from "./operator-cli.ts";
import { memoryUsers } from "../support/memory-users.ts";
import { addressOf, putUser } from "../support/users.ts";

const NOW = new Date("2026-11-20T12:00:00.000Z");
const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const after = (ms: number) => new Date(NOW.getTime() + ms);

/** Commands that look need the store and nothing else: no keys, no Google. */
function looking(users: UserStore, clock: Pick<Clock, "now"> = { now: () => NOW }) {
  const open = (log: Log): Operator => ({
    users,
    clock: { ...clock, sleep: () => Promise.resolve() },
    log,
    getKeyRing: () => Promise.reject(new Error("a command that looks asked for keys")),
    getContext: () => Promise.reject(new Error("a command that looks asked for keys")),
    close: () => Promise.resolve(),
  });
  return (args: string[], options?: CommandOptions) => runCommand(open, args, options);
}

/** Four people, each with something of their own. */
async function someUsers() {
  const users = memoryUsers();
  const put = (id: string, name: string, own: Partial<User>) =>
    putUser(users, id, { emailAddress: addressOf(`${name}@example.com`), ...own });
  const sync = (ago: number, own: Partial<User["sync"]> = {}): User["sync"] => ({
    retries: 0,
    recent: [],
    dueReason: "quiet",
    dueAt: after(HOUR_MS),
    syncedAt: after(-ago),
    ...own,
  });
  await put("1", "ada", {
    grant: {
      generation: 3,
      scopes: ["openid"],
      grantedAt: NOW,
      refreshToken: "v1.2026-11.AAAAAAAAAAAAAAAA.cmVmcmVzaA.AAAAAAAAAAAAAAAAAAAAAA" as Sealed,
      accessToken: "v1.2026-12.AAAAAAAAAAAAAAAA.YWNjZXNz.AAAAAAAAAAAAAAAAAAAAAA" as Sealed,
      accessTokenExpiresAt: after(HOUR_MS),
      refreshTokenDigests: { prefix: "cHJlZml4", doubleHash: "aGFzaA" },
    },
    watch: { expiresAt: after(6.5 * DAY_MS), renewAt: after(DAY_MS), failures: 0 },
    sync: sync(12 * SECOND_MS, {
      notifiedAt: after(-30 * SECOND_MS),
      unannounced: { at: after(-HOUR_MS), changes: 2 },
    }),
  });
  await put("2", "bob", {
    watch: { expiresAt: after(-HOUR_MS), renewAt: after(-2 * HOUR_MS), failures: 4 },
    sync: sync(3 * DAY_MS, { dueAt: after(-HOUR_MS), dueReason: "throttled" }),
  });
  await put("3", "cyd", {
    status: "reauthorization_required",
    statusReason: "invalid_grant",
    sync: { retries: 0, recent: [], syncedAt: after(-DAY_MS) },
    followUp: { dueAt: after(-6 * 60_000), failures: 1 },
  });
  await put("4", "dan", { status: "disconnected", statusReason: "user_request" });
  return users;
}

describe("mailboxes list", () => {
  it.each([
    [[], ["1", "2", "3", "4"]],
    [
      ["--status", "active"],
      ["1", "2"],
    ],
    [["--reason", "invalid_grant"], ["3"]],
    [["--address", "DA@"], ["1"]],
    [["--overdue"], ["2", "3"]],
    [
      ["--watch-expires", "7"],
      ["1", "2"],
    ],
    [["--watch-expires", "6"], ["2"]],
    [["--status", "active", "--overdue"], ["2"]],
  ] as [string[], string[]][])("%j: %j", async (filter, ids) => {
    const run = looking(await someUsers());
    const { code, lines } = await run(["list", "--json", ...filter]);
    expect(code).toBe(0);
    expect(lines.map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(ids);
  });

  it("shows a table with the problems", async () => {
    const { lines } = await looking(await someUsers())(["list"]);
    expect(lines[0]).toMatch(/^user id +address +status +reason +watch ends +lag +overdue$/);
    expect(lines[1]).toMatch(
      /^1 +ada@example\.com +active +authorized +2026-11-27T00:00 +12 s +-$/,
    );
    expect(lines[2]).toMatch(/^2 .* 3 d +sync\.dueAt watch\.renewAt$/);
  });

  it("lists the incomplete mailboxes: since when, why, and whether subscribers know", async () => {
    const users = await someUsers();
    const failure = {
      since: after(-HOUR_MS),
      at: NOW,
      family: "mailbox",
      reason: "forbidden",
      count: 9,
      call: "history.list",
    } as const;
    const sync = { retries: 9, recent: [], dueReason: "unfinished", dueAt: NOW, failure } as const;
    const told = { behindSince: after(-2 * HOUR_MS), delayedAt: after(-HOUR_MS) };
    await putUser(users, "5", {
      emailAddress: addressOf("eve@example.com"),
      sync: { ...sync, ...told },
    });
    await putUser(users, "6", {
      emailAddress: addressOf("fay@example.com"),
      sync: { retries: 0, recent: [], dueReason: "throttled", behindSince: after(-60_000) },
    });
    const { lines } = await looking(users)(["list", "--behind"]);
    expect(lines[0]).toMatch(/ overdue +behind$/);
    expect(lines.slice(1)).toHaveLength(2);
    expect(lines[1]).toMatch(/^5 .* 2 h, forbidden, subscribers told$/);
    expect(lines[2]).toMatch(/^6 .* 60 s, throttled$/);
    const shown = await looking(users)(["show", "eve@example.com"]);
    expect(shown.lines.at(-1)).toContain(
      `incomplete since ${told.behindSince.toISOString()} (forbidden), subscribers were told`,
    );
    const { lines: numbers } = await looking(users)(["stats"]);
    expect(numbers).toContainEqual(expect.stringMatching(/^incomplete +2, the oldest for 2 h$/));
  });

  it("lists the mailboxes with given tags, and shows the tags of one", async () => {
    const users = await someUsers();
    const put = (id: string, tags: Record<string, string>) =>
      putUser(users, id, { emailAddress: addressOf(`user${id}@example.com`), tags });
    await put("5", { customer: "acme", plan: "a=b" });
    await put("6", { customer: "acme", plan: "" });
    await put("7", { customer: "globex", plan: "a=b" });
    const idsOf = async (...tags: string[]) => {
      const args = ["list", "--json", ...tags.flatMap((tag) => ["--tag", tag])];
      const { lines } = await looking(users)(args);
      return lines.map((line) => (JSON.parse(line) as { id: string }).id);
    };
    expect(await idsOf("customer=acme")).toEqual(["5", "6"]);
    expect(await idsOf("plan=a=b")).toEqual(["5", "7"]);
    expect(await idsOf("plan=")).toEqual(["6"]);
    expect(await idsOf("customer=acme", "plan=a=b")).toEqual(["5"]);
    expect(await idsOf("constructor=")).toEqual([]);
    expect((await looking(users)(["show", "5"])).lines).toContainEqual(
      expect.stringMatching(/^tags\.customer +acme$/),
    );
    for (const wrong of ["customer", "=acme", "Customer=acme"]) {
      expect((await looking(users)(["list", "--tag", wrong])).code).toBe(2);
    }
  });

  it("reads page by page, no further than the limit requires", async () => {
    const users = memoryUsers();
    for (let index = 0; index < 1_000; index++) {
      const emailAddress = addressOf(`user${index}@example.com`);
      await putUser(users, String(1_000 + index), { emailAddress });
    }
    const pages: number[] = [];
    const counted: UserStore = {
      ...users,
      async listAll(last, limit) {
        const page = await users.listAll(last, limit);
        pages.push(page.users.length);
        return page;
      },
    };
    const all = await looking(counted)(["list", "--limit", "5000", "--json"]);
    expect(new Set(all.lines).size).toBe(1_000);
    expect(pages.length).toBeGreaterThan(3);
    expect(Math.max(...pages)).toBeLessThanOrEqual(300);

    pages.length = 0;
    const some = await looking(counted)(["list", "--limit", "5", "--json"]);
    expect(some.lines).toEqual(all.lines.slice(0, 5));
    expect(some.notes).toEqual(["there are more than the 5 listed; see --limit"]);
    expect(pages).toHaveLength(1);
  });

  it("shows progress after a while, and at once on a terminal", async () => {
    const users = await someUsers();
    let now = NOW;
    const slow: UserStore = {
      ...users,
      listAll(last, limit) {
        now = new Date(now.getTime() + 3_000);
        return users.listAll(last, limit);
      },
    };
    const clock = { now: () => now };
    expect((await looking(slow, clock)(["list"])).notes).toEqual(["4 users read..."]);
    expect((await looking(users)(["list"])).notes).toEqual([]);
    const looked = await looking(users)(["list"], { isLookedAt: true });
    expect(looked.notes).toEqual(["status 4 users read...", "status "]);
  });

  it("escapes control characters in stored values", async () => {
    const users = memoryUsers();
    const statusReason = "\u001B[2J\u009B1mcleared\u202E\u2028\uDB40\uDC41";
    await putUser(users, "1", { statusReason });
    const outputs = [
      ["list"],
      ["show", "1"],
      ["stats"],
      ["list", "--json"],
      ["show", "1", "--json"],
    ];
    for (const args of outputs) {
      const { lines } = await looking(users)(args);
      expect(lines.join("\n")).toContain("\\u001b[2J\\u009b1mcleared\\u202e\\u2028\\udb40\\udc41");
      expect(lines.join("")).not.toMatch(/[\p{Cc}\p{Cf}\u2028]/u);
    }
    const { lines } = await looking(users)(["show", "1", "--json"]);
    expect(JSON.parse(lines[0] ?? "").statusReason).toBe(statusReason);
  });
});

describe("mailboxes show", () => {
  it("shows what is stored, of tokens only whether they exist", async () => {
    const run = looking(await someUsers());
    const { code, lines } = await run(["show", "ada@example.com"]);
    expect(code).toBe(0);
    expect(lines).toContain("grant.refreshToken.kind      present");
    expect(lines).toContain("grant.refreshToken.keyId     2026-11");
    expect(lines).toContain("grant.accessToken.keyId      2026-12");
    expect(lines).toContain("grant.accessToken.expiresAt  2026-11-20T13:00:00.000Z");
    expect(lines.at(-1)).toBe(
      "every change up to history id 1000 is published; " +
        "read to its end at 2026-11-20T11:59:48.000Z, lag 12 s; " +
        "the last look (2026-11-20T11:00:00.000Z) found 2 unannounced changes",
    );
    const json = await run(["show", "1", "--json"]);
    expect(JSON.parse(json.lines[0] ?? "")).toMatchObject({
      id: "1",
      grant: {
        refreshToken: { kind: "present", keyId: "2026-11" },
        accessToken: { kind: "present", keyId: "2026-12" },
      },
      completeness: { historyId: "1000", lagMs: 12_000, unannounced: { changes: 2 } },
    });
    for (const secret of ["cmVmcmVzaA", "YWNjZXNz", "cHJlZml4", "aGFzaA"]) {
      expect([...lines, ...json.lines].join("\n")).not.toContain(secret);
    }
  });

  it("says what keeps a mailbox from being complete", async () => {
    const run = looking(await someUsers());
    expect((await run(["show", "2"])).lines.at(-1)).toMatch(/lag 3 d; .*; pending: throttled$/);
    expect((await run(["show", "3"])).lines.at(-1)).toMatch(/pending: reauthorization_required$/);
    expect((await run(["show", "4"])).lines.at(-1)).toMatch(/not read to its end since/);
  });

  it.each(["nobody", "nobody@example.com"])("fails for %s", async (name) => {
    const { code, lines, notes } = await looking(await someUsers())(["show", name]);
    expect(code).toBe(1);
    expect(lines).toEqual([]);
    expect(notes).toEqual([`error: there is no user ${name} that can be read`]);
  });

  it("asks for an id when several users have had the address", async () => {
    const users = await someUsers();
    await putUser(users, "5", {
      emailAddress: addressOf("ada@example.com"),
      status: "disconnected",
    });
    const { code, notes } = await looking(users)(["show", "ada@example.com"]);
    expect(code).toBe(1);
    expect(notes[0]).toContain("name one by id: 1 (active), 5 (disconnected)");
    expect((await looking(users)(["show", "5"])).code).toBe(0);
  });
});

describe("mailboxes stats", () => {
  it("counts every user once, and names the furthest behind first", async () => {
    const { code, lines } = await looking(await someUsers())(["stats", "--json"]);
    expect(code).toBe(0);
    const stats = JSON.parse(lines[0] ?? "");
    expect(stats).toMatchObject({
      users: 4,
      statuses: [
        { status: "active", reason: "authorized", users: 2 },
        { status: "reauthorization_required", reason: "invalid_grant", users: 1 },
        { status: "disconnected", reason: "user_request", users: 1 },
      ],
      watches: { none: 0, lapsed: 1, "0 d": 0, "5 d": 0, "6 d": 1 },
      overdue: { "sync.dueAt": 1, "watch.renewAt": 1, "followUp.dueAt": 1 },
      worst: [
        { id: "2", completeness: { pending: "throttled" } },
        { id: "1", completeness: { unannounced: { changes: 2 } } },
      ],
    });
    // A histogram of three figures.
    expect(stats.lagMs.p50 / 12_000).toBeCloseTo(1, 2);
    expect(stats.lagMs.max / (3 * DAY_MS)).toBeCloseTo(1, 2);
    expect(stats.notifiedAgoMs.min / 30_000).toBeCloseTo(1, 2);
  });

  it("prints the same for people", async () => {
    const { lines } = await looking(await someUsers())(["stats"]);
    const text = lines.join("\n");
    expect(text).toMatch(/^users +4$/m);
    expect(text).toMatch(/^ {2}reauthorization_required +1 {2}invalid_grant$/m);
    expect(text).toMatch(/^overdue +sync\.dueAt: 1, watch\.renewAt: 1, followUp\.dueAt: 1$/m);
    expect(text).toMatch(/^last notification +30 s ago; per mailbox p50 30 s/m);
    expect(lines.at(-2)).toMatch(/^bob@example\.com \(2\) +every change up to history id 1000 is/);
  });

  it("says so when there are no users", async () => {
    const { code, lines } = await looking(memoryUsers())(["stats", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ users: 0, statuses: [], worst: [] });
  });

  it("needs no more memory for many reasons and many mailboxes than for a few", async () => {
    const users = memoryUsers();
    for (let index = 0; index < 400; index++) {
      const emailAddress = addressOf(`user${index}@example.com`);
      await putUser(users, String(index), { emailAddress, statusReason: `reason_${index}` });
    }
    const { lines } = await looking(users)(["stats", "--json"]);
    const { statuses, worst } = JSON.parse(lines[0] ?? "");
    expect(statuses).toHaveLength(101);
    expect(statuses.at(-1)).toMatchObject({ reason: "(others)", users: 300 });
    expect(worst).toHaveLength(10);
  });
});

describe("a command that is used incorrectly", () => {
  it.each([
    [],
    ["lst"],
    ["show"],
    ["show", "not an id"],
    ["show", "@"],
    ["list", "--limit", "0"],
    ["list", "--limit", "-1"],
    ["list", "--status", "fine"],
    ["list", "--watch-expires", "1e3"],
    ["flag", "1"],
    ["flag", "1", "--reason", "Because I say so"],
    ["flag", "1", "--reason", "abuse"],
    ["forget", "1"],
  ])("%j exits with 2 and does nothing", async (...args) => {
    const users = await someUsers();
    const before = users.dump();
    const { code, lines, notes } = await looking(users)(args);
    expect(code).toBe(2);
    expect(lines).toEqual([]);
    expect(notes.join("")).not.toBe("");
    expect(users.dump()).toEqual(before);
  });

  it("exits with 0 when asked for help", async () => {
    const { code, lines } = await looking(memoryUsers())(["forget", "--help"]);
    expect(code).toBe(0);
    expect(lines[0]).toContain("Usage: gmail-push mailboxes forget [options] <user>");
  });

  it("exits with 2 and names every problem of the configuration", async () => {
    const { code, notes } = await runCommand(() => {
      throw new ConfigError(["PUBLIC_URL is not set", "TOKEN_KEYS is not set"]);
    }, ["list"]);
    expect(code).toBe(2);
    expect(notes).toEqual([
      "error: the configuration cannot be used:",
      "  PUBLIC_URL is not set",
      "  TOKEN_KEYS is not set",
      "Or give --project PROJECT, to use the settings of the deployment there.",
    ]);
  });

  it("exits with 1 when the store does not answer, without the library's message", async () => {
    const users: UserStore = {
      ...memoryUsers(),
      listAll: () => Promise.reject(Object.assign(new Error("ya29.secret"), { code: 14 })),
    };
    const { code, notes } = await looking(users)(["stats"]);
    expect(code).toBe(1);
    expect(notes).toEqual(["error: Error (14)"]);
  });
});
