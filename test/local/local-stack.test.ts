import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Parsed, parse } from "../../functions/subscriber/parse.ts";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { judge } from "../checker/judge.ts";
import { readRecording } from "../checker/recording.ts";
import { giveConsent } from "../gmail-emulator/consent.ts";
import { mailboxStory } from "./demo-story.ts";
import { type Playground, startPlayground } from "./playground.ts";
import { tellStory } from "./tell-story.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { startFlow } from "../support/flow.ts";
import { freePort } from "../support/program.ts";
import { startMailSink } from "../support/mail-sink.ts";
import { startSite } from "../browser/site.ts";
import { startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
/** Programs take their time to start on a busy machine. */
const PROGRAM_TIMEOUT_MS = 60_000;
const TEST_TIMEOUT_MS = 3 * PROGRAM_TIMEOUT_MS;
const HELP_DESK = "test/examples/subscriber/main.ts";

describe("the local page", () => {
  let playground: Playground;
  let live: Live;
  const post = (route: string, body: object = {}, headers: Record<string, string> = {}) =>
    fetch(`${playground.url}/${route}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });

  beforeEach(async () => {
    playground = await startPlayground({ pagePort: 0, connectPort: 0 });
    live = await listen(`${playground.url}/live`);
  });
  afterEach(async () => {
    live.close();
    await playground.close();
  });

  /** What a person does in the two tabs that the page opens. */
  async function allowAccess(from: Response, browser = openBrowser()): Promise<string> {
    const { emulator } = playground.stack;
    return (await throughGoogle(emulator, browser, from, { account: ADA })).text();
  }

  async function connect(): Promise<void> {
    const browser = openBrowser();
    const { start } = (await live.seen("addresses")) as { start: string };
    await allowAccess(await browser.get(start), browser);
    await live.seen("published", isOfType("mailbox.connected"));
  }

  it("is served completely, with everything that it loads", async () => {
    const page = await fetch(playground.url);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    const pending = [...(await page.text()).matchAll(/(?:src|href)="([\w./-]+)"/g)];
    const files = new Set(pending.map(([, file]) => file));
    for (const file of files) {
      const response = await fetch(`${playground.url}/${file}`);
      expect(`${file} ${response.status}`).toBe(`${file} 200`);
      const text = await response.text();
      for (const [, imported = ""] of text.matchAll(/from "\.\/([\w-]+\.js)"/g))
        files.add(imported);
    }
    expect(files).toContain("element.js");
  });

  it("shows the change that follows an action, and the document without its tokens", async () => {
    await connect();
    const delivered = await post("emulator/deliver", { account: ADA, subject: "Lunch?" });
    const { messageId } = (await delivered.json()) as { messageId: string };
    const event = await live.seen("published", isOfType("mailbox.message.added"));
    expect(event).toMatchObject({
      id: expect.stringContaining(messageId),
      data: { emailAddress: ADA, messageId, labelIds: ["UNREAD", "INBOX"] },
    });

    const state = await live.seen("state", ({ users, accounts }) => {
      const shown = JSON.stringify([users, accounts]);
      return ["sealed: ", "Lunch?"].every((text) => shown.includes(text));
    });
    expect(state).toMatchObject({
      users: [{ document: { emailAddress: ADA, status: "active" } }],
    });
    const documents = live.all("step").map(({ document }) => JSON.stringify(document));
    expect(new Set(documents).size).toBeGreaterThan(1);
    const call = await live.seen("call", ({ method }) => method === "history.list");
    expect(call).toMatchObject({ account: ADA, status: 200, durationMs: expect.any(Number) });
    await live.seen(
      "log",
      ({ record }) => (record as { event: string }).event === "user_connected",
    );
    const secrets = playground.stack.emulator.secretsIssued();
    expect(secrets.length).toBeGreaterThan(2);
    expect(secrets.filter((secret) => live.text().includes(secret))).toEqual([]);
    expect(live.text()).not.toMatch(/v2\.local\./);
  });

  it("leads from a changed password back to access through the link that it shows", async () => {
    await connect();
    await post("emulator/change-password", { account: ADA });
    await post("emulator/deliver", { account: ADA, subject: "You changed your password" });
    const lost = await live.seen("published", isOfType("mailbox.reauthorization_required"));
    const { reauthorizeUrl } = lost["data"] as { reauthorizeUrl: string };

    const browser = openBrowser();
    expect((await browser.get(reauthorizeUrl)).status).toBe(200);
    const page = await allowAccess(await browser.post(reauthorizeUrl, {}), browser);
    expect(page).toContain("connected");
    await live.seen("published", ({ id }) => String(id).endsWith("/connected/2"));
  });

  it("shows the mail to a person who is flagged, with a link that restores access", async () => {
    await connect();
    await post("emulator/change-password", { account: ADA });
    await post("emulator/deliver", { account: ADA });
    await live.seen("published", isOfType("mailbox.reauthorization_required"));
    const reconcile = async () => {
      await post("schedules/mailboxReconciliation");
      return live.text();
    };
    await expect.poll(reconcile, { timeout: 10_000 }).toContain("event: mail\n");
    const { to, subject, text, link } = await live.seen("mail");
    expect({ to, subject }).toEqual({ to: [ADA], subject: expect.stringContaining("again") });
    expect(text).toContain(link);
    const browser = openBrowser();
    await allowAccess(await browser.post(String(link), {}), browser);
    await live.seen("published", ({ id }) => String(id).endsWith("/connected/2"));
  });

  it("finds unannounced mail when the reconciliation runs", async () => {
    await connect();
    await post("emulator/lose-notifications");
    await post("emulator/deliver", { account: ADA, subject: "In silence" });
    // A mailbox is due a second after it was last looked at.
    const reconcile = async () => {
      await post("schedules/mailboxReconciliation");
      return live.text();
    };
    expect(live.text()).not.toContain("mailbox.message.added");
    await expect.poll(reconcile, { timeout: 10_000 }).toContain("mailbox.message.added");
  });

  it("moves the time forward, and runs what came due", async () => {
    await connect();
    const { emulator } = playground.stack;
    const [watched] = emulator.account(ADA).watches;
    expect((await post("clock", { forwardMs: 3 * 86_400_000 })).status).toBe(200);
    const [renewed] = emulator.account(ADA).watches;
    expect(Number(renewed?.expiration) - Number(watched?.expiration)).toBeGreaterThan(86_400_000);
    await live.seen("state", ({ aheadMs }) => aheadMs === 3 * 86_400_000);
    for (const forwardMs of [-1, 0, 1.5, 31 * 86_400_000]) {
      expect((await post("clock", { forwardMs })).status).toBe(400);
    }
  });

  it("refuses to deliver an event once more without a subscriber", async () => {
    await connect();
    const { id } = await live.seen("published");
    const answer = await post("resend", { id });
    expect(answer.status).toBe(409);
    expect(await answer.text()).toContain("npm start -- --push URL");
  });

  it("sends a page that reconnects only what it has not seen", async () => {
    await connect();
    const again = await listen(`${playground.url}/live`, live.lastId());
    await again.seen("state");
    expect(again.text()).not.toContain("mailbox.connected");
    await post("emulator/deliver", { account: ADA });
    await again.seen("published", isOfType("mailbox.message.added"));
    again.close();
  });

  it("accepts commands from no page of the web, and answers only under this machine's name", async () => {
    const stranger = { origin: "https://evil.example" };
    expect((await post("schedules/watchRenewal", {}, stranger)).status).toBe(403);
    expect((await post("emulator/deliver", { account: ADA }, stranger)).status).toBe(403);
    expect(playground.stack.emulator.account(ADA).messages).toEqual([]);
    // `fetch` does not let a caller choose the host.
    const asked = request(`${playground.url}/live`, { headers: { host: "evil.example" } }).end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    expect(answer.resume().statusCode).toBe(403);
  });

  it.each(["/..%2fstart.ts", "/%2e%2e/start.ts", "/%", "/%00", "//etc/passwd"])(
    "serves no file at %s",
    async (target) => {
      // `fetch` would resolve the dots itself.
      const { hostname: host, port } = new URL(playground.url);
      const [answer] = (await once(request({ host, port, path: target }).end(), "response")) as [
        IncomingMessage,
      ];
      expect(answer.resume().statusCode).toBe(404);
    },
  );

  it.each(["constructor", "toString", "__proto__"])("knows no schedule %s", async (name) => {
    expect((await post(`schedules/${name}`)).status).toBe(404);
  });

  it("shows only the beginning of a huge mail", async () => {
    const huge = "x".repeat(1_000_000);
    const mail = { account: ADA, subject: huge, from: huge, to: huge, text: huge };
    expect((await post("emulator/deliver", mail)).status).toBe(200);
    const { accounts } = await live.seen("state", (state) => JSON.stringify(state).includes("xxx"));
    expect(JSON.stringify(accounts).length).toBeLessThan(3_000);
  });

  it("uses another port when the usual one is taken", async () => {
    const taken = Number(new URL(playground.url).port);
    const second = await startPlayground({ pagePort: taken, connectPort: taken });
    expect((await fetch(second.url)).status).toBe(200);
    expect(second.url).not.toBe(playground.url);
    await second.close();
  });
});

describe("npm start", () => {
  it("says where the page is within seconds, and ends cleanly while a page is open", async () => {
    const child = run("test/local/start.ts");
    const url = await new Promise<string>((resolve) => {
      child.stdout?.on("data", () => {
        const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(child.output());
        if (found !== null) resolve(found[0]);
      });
    });
    expect((await fetch(url)).status).toBe(200);
    const live = await listen(`${url}live`);
    await live.seen("state");
    child.kill("SIGINT");
    expect(await child.ended).toBe(0);
    live.close();
  });
});

describe("npm start -- --data", () => {
  it(
    "continues with the accounts, mail, users and events of the last time",
    async () => {
      const folder = await mkdtemp(path.join(tmpdir(), "local-stack-"));
      const before = await startPlayground({ pagePort: 0, connectPort: 0, data: folder });
      await connectAda(before.stack);
      before.stack.emulator.deliver(ADA, { subject: "kept" });
      await before.stack.emulator.idle();
      const forward = JSON.stringify({ forwardMs: 3_600_000 });
      await fetch(`${before.url}/clock`, { method: "POST", body: forward });
      const account = before.stack.emulator.account(ADA);
      await before.close();

      const after = await startPlayground({ pagePort: 0, connectPort: 0, data: folder });
      const { emulator } = after.stack;
      expect(emulator.account(ADA)).toEqual(account);
      const live = await listen(`${after.url}/live`);
      await live.seen("state", ({ aheadMs }) => aheadMs === 3_600_000);
      await live.seen("published");
      const types = () =>
        [...live.text().matchAll(/^event: published\nid: .*\ndata: .*?"type":"([\w.]+)"/gm)].map(
          ([, type]) => type,
        );
      expect(types()).toEqual(["mailbox.connected", "mailbox.message.added"]);
      // The stored grant still works, and the stream goes on from the stored cursor.
      emulator.expireAccessTokens(ADA);
      emulator.deliver(ADA, { subject: "new" });
      await expect.poll(() => types().length, { timeout: PROGRAM_TIMEOUT_MS }).toBe(3);
      await connectAda(after.stack);
      await expect.poll(() => types().at(-1)).toBe("mailbox.connected");
      live.close();
      await after.close();
      await rm(folder, { recursive: true });
    },
    TEST_TIMEOUT_MS,
  );

  it("stops at a state that it cannot read, and says what to do", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "local-stack-"));
    await writeFile(path.join(folder, "local-stack"), "something else");
    const child = run("test/local/start.ts", "--data", folder);
    expect(await child.ended).toBe(1);
    expect(child.output()).toContain("cannot be read: delete it to begin anew");
    await rm(folder, { recursive: true });
  });
});

describe("npm start -- --record", () => {
  const judged = (lines: readonly object[]) =>
    judge(readRecording(lines.map((line) => JSON.stringify(line)).join("\n")));

  it(
    "records what npm run check-recording can judge, with Gmail's truth",
    async () => {
      const lines: object[] = [];
      const record = (line: object) => void lines.push(line);
      const { url, stack, close } = await startPlayground({ pagePort: 0, connectPort: 0, record });
      const { emulator } = stack;
      const forward = async () => {
        await emulator.idle();
        const body = JSON.stringify({ forwardMs: 3_600_000 });
        await fetch(`${url}/clock`, { method: "POST", body });
      };
      await connectAda(stack);
      const { messageId } = emulator.deliver(ADA, { subject: "recorded" });
      emulator.addLabels(ADA, [messageId], ["STARRED"]);
      await forward();
      emulator.loseNotifications(1);
      emulator.deliver(ADA, { subject: "in a gap" });
      emulator.expireHistory(ADA);
      await forward();
      emulator.rewindHead(ADA, "1000");
      emulator.deliver(ADA, { subject: "after a rewind" });
      await forward();
      emulator.changePassword(ADA);
      await forward();
      await connectAda(stack);
      emulator.deliver(ADA, { subject: "of another grant" });
      await forward();
      await close();

      const { broken, unjudged, events, mailboxes } = judged(lines);
      expect(broken).toEqual([]);
      expect(events).toBeGreaterThan(8);
      expect(mailboxes).toBe(1);
      expect(unjudged.join("\n")).not.toContain("only Gmail knows");

      const isOfLabel = (line: object) => JSON.stringify(line).includes("mailbox.labels.added");
      const without = lines.filter((line) => !isOfLabel(line));
      expect(without.length).toBeLessThan(lines.length);
      expect(judged(without).broken.map(({ property }) => property)).toContain("P4");
    },
    TEST_TIMEOUT_MS,
  );

  it(
    "records a stack that continues without Gmail's truth",
    async () => {
      const data = await mkdtemp(path.join(tmpdir(), "local-stack-"));
      const before = await startPlayground({ pagePort: 0, connectPort: 0, data });
      await connectAda(before.stack);
      before.stack.emulator.deliver(ADA, { subject: "published before the recording" });
      await before.stack.emulator.idle();
      await before.close();

      const lines: object[] = [];
      const record = (line: object) => void lines.push(line);
      const after = await startPlayground({ pagePort: 0, connectPort: 0, data, record });
      const body = JSON.stringify({ forwardMs: 3_600_000 });
      await fetch(`${after.url}/clock`, { method: "POST", body });
      await after.close();
      const { broken, unjudged, documents } = judged(lines);
      expect(broken).toEqual([]);
      expect(documents).toBeGreaterThan(1);
      expect(unjudged.join("\n")).toContain("only Gmail knows");
      await rm(data, { recursive: true });
    },
    TEST_TIMEOUT_MS,
  );

  it("writes the file at once, and says how it is judged", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "local-stack-"));
    const file = path.join(folder, "run.jsonl");
    const child = run("test/local/start.ts", "--record", file);
    await expect
      .poll(() => child.output(), { timeout: PROGRAM_TIMEOUT_MS })
      .toContain(`npm run check-recording -- ${file}`);
    expect(readRecording(await readFile(file, "utf8")).settings.settleMs).toBe(120_000);
    child.kill("SIGINT");
    expect(await child.ended).toBe(0);
    const refused = run("test/local/start.ts", "--record", path.join(folder, "none", "run.jsonl"));
    expect(await refused.ended).toBe(1);
    expect(refused.output()).toContain("no such file or directory");
    await rm(folder, { recursive: true });
  });
});

describe("npm start -- --seed", () => {
  it("makes the same ids for the same number", async () => {
    const idOf = async (seed: number) => {
      const { stack, close } = await startPlayground({ pagePort: 0, connectPort: 0, seed });
      const { messageId } = stack.emulator.deliver(ADA);
      await close();
      return messageId;
    };
    expect(await idOf(7)).toBe(await idOf(7));
    expect(await idOf(7)).not.toBe(await idOf(8));
  });
});

describe("npm start -- --port", () => {
  it("stops when the port is in use, and says what to do", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const child = run("test/local/start.ts", "--port", String(port));
    expect(await child.ended).toBe(1);
    expect(child.output()).toContain(`port ${port} is in use`);
    taken.close();
  });

  it.each(["--port 0", "--seed -1", "--colour"])("is refused with the usage: %s", async (args) => {
    const child = run("test/local/start.ts", ...args.split(" "));
    expect(await child.ended).toBe(2);
    expect(child.output()).toContain("Usage: npm start");
  });
});

describe("npm run example", () => {
  it(
    "connects a mailbox by the receiver of npm start, whose settings are the environment's",
    async () => {
      const port = await freePort();
      const origin = `http://127.0.0.1:${port}`;
      const receiver = runWith({ RETURN_TO_URLS: `${origin}/connected` }, "test/local/start.ts");
      const output = () => receiver.output();
      await expect.poll(output, { timeout: PROGRAM_TIMEOUT_MS }).toContain("Ctrl-C ends it.");
      const live = await listen(`${/http:\/\/127\.0\.0\.1:\d+\//.exec(output())?.[0]}live`);
      const { start } = (await live.seen("addresses")) as { start: string };

      const settings = { PORT: String(port), RECEIVER_URL: new URL(start).origin };
      const example = runWith(settings, "test/examples/application/main.ts", "--local");
      await expect.poll(() => example.output(), { timeout: PROGRAM_TIMEOUT_MS }).toContain(origin);
      const browser = openBrowser();
      const pressed = await browser.post(`${origin}/connect`, {});
      const asked = await startFlow(browser, pressed.headers.get("location") ?? "");
      const back = await throughGoogle({ consent: giveConsent }, browser, asked, { account: ADA });
      await browser.get(back.headers.get("location") ?? "");
      expect(await (await browser.get(`${origin}/`)).text()).toContain(`Your mailbox: ${ADA}`);

      live.close();
      example.kill("SIGTERM");
      receiver.kill("SIGINT");
      expect(await receiver.ended).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  it.each([
    ["test/examples/application/main.ts", "127.0.0.1"],
    [HELP_DESK, undefined],
  ])("says that its port is in use: %s", async (script, host) => {
    const taken = createServer().listen(0, host);
    await once(taken, "listening");
    const port = String((taken.address() as AddressInfo).port);
    const child = runWith({ PORT: port }, script, "--local");
    expect(await child.ended).toBe(1);
    expect(child.output()).toBe(
      `port ${port} is in use: end the program that has it, or set PORT\n`,
    );
    taken.close();
  });

  it("is told of a setting that is wrong", async () => {
    const child = runWith({ CHANGES_DETAIL: "everything" }, "test/local/start.ts");
    expect(await child.ended).toBe(1);
    expect(child.output()).toContain("CHANGES_DETAIL");
  });
});

describe("npm start -- --push", () => {
  it(
    "delivers every change to the URL, and says what a subscriber has to know",
    async () => {
      const received: Parsed[] = [];
      const endpoint = await startSite();
      endpoint.answer = async (posted) => {
        received.push(parse(await posted.json()));
        return new Response(null, { status: received.length === 1 ? 503 : 204 });
      };
      const push = `${endpoint.origin}/changes`;
      const child = run("test/local/start.ts", "--push", push);
      const output = () => child.output();
      await expect.poll(output, { timeout: PROGRAM_TIMEOUT_MS }).toContain("Ctrl-C ends it.");
      expect(output()).toContain(`PUSH_AUDIENCE=${push}`);
      const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(output())?.[0] ?? "";
      const live = await listen(`${url}live`);
      const { start } = (await live.seen("addresses")) as { start: string };
      const browser = openBrowser();
      await throughGoogle({ consent: giveConsent }, browser, await browser.get(start), {
        account: ADA,
      });
      await expect
        .poll(output, { timeout: PROGRAM_TIMEOUT_MS })
        .toMatch(/^204 {2}mailbox\.connected {2}\S+\/connected\/1$/m);
      expect(received).toHaveLength(2);
      for (const parsed of received) {
        expect(parsed).toMatchObject({ kind: "event", event: { type: "mailbox.connected" } });
      }
      expect(output()).toMatch(
        /^503 {2}mailbox\.connected {2}\S+\/connected\/1, again in 0\.1 s$/m,
      );
      child.kill("SIGINT");
      expect(await child.ended).toBe(0);
      live.close();
      endpoint.close();
    },
    TEST_TIMEOUT_MS,
  );

  it(
    "lets the help desk file a ticket for a mail that is delivered on the page",
    async () => {
      const desk = `http://127.0.0.1:${await freePort()}`;
      const start = run("test/local/start.ts", "--push", `${desk}/changes`);
      await expect.poll(start.output, { timeout: PROGRAM_TIMEOUT_MS }).toContain("Ctrl-C ends it.");
      const settings = start.output().matchAll(/^ {2}([A-Z_]+)=(\S+)$/gm);
      const env = Object.fromEntries([...settings].map(([, name, value]) => [name, value]));
      const helpDesk = runWith({ ...env, PORT: new URL(desk).port }, HELP_DESK);
      await expect.poll(helpDesk.output, { timeout: PROGRAM_TIMEOUT_MS }).toContain("tickets: ");

      const page = /http:\/\/127\.0\.0\.1:\d+\//.exec(start.output())?.[0] ?? "";
      const live = await listen(`${page}live`);
      const addresses = (await live.seen("addresses")) as { start: string };
      const browser = openBrowser();
      const toGoogle = await browser.get(addresses.start);
      await throughGoogle({ consent: giveConsent }, browser, toGoogle, { account: ADA });
      await fetch(`${page}emulator/deliver`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ account: ADA, subject: "Help", text: "It broke.", from: "eve@x.y" }),
      });
      const tickets = async () => (await fetch(`${desk}/tickets`)).json();
      await expect.poll(tickets, { timeout: PROGRAM_TIMEOUT_MS }).toMatchObject({
        tickets: [{ mailbox: ADA, subject: "Help", text: "It broke.", from: "eve@x.y" }],
      });
      for (const child of [helpDesk, start]) {
        child.kill("SIGINT");
        await child.ended;
      }
      live.close();
    },
    TEST_TIMEOUT_MS,
  );

  it.each(["https://app.example/changes", "http://192.0.2.1/", "4000"])(
    "delivers nothing to %s, which is not this machine",
    async (url) => {
      const child = run("test/local/start.ts", "--push", url);
      expect(await child.ended).toBe(2);
      expect(child.output()).toContain("Usage: npm start");
    },
    TEST_TIMEOUT_MS,
  );
});

describe("a checkout without its packages", () => {
  it("says that npm ci is missing", async () => {
    const checkout = await mkdtemp(path.join(tmpdir(), "checkout-"));
    await mkdir(path.join(checkout, "test/local"), { recursive: true });
    await copyFile("test/local/ready.cjs", path.join(checkout, "test/local/ready.cjs"));
    const child = spawn("node", [path.join(checkout, "test/local/ready.cjs")]);
    let output = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    const [code] = (await once(child, "close")) as [number];
    expect({ code, output }).toEqual({
      code: 1,
      output: "The packages are not installed: run `npm ci` first.\n",
    });
    await rm(checkout, { recursive: true });
  });
});

describe("npm run demo", () => {
  it("runs the whole story and exits with 0", async () => {
    const child = run("test/local/demo.ts");
    const code = await child.ended;
    expect(child.output()).toContain("All 9 steps held.");
    expect(code).toBe(0);
  });

  it.each([
    ["the topic takes nothing", 1],
    ["the change of a password ends no token", 5],
    ["Gmail has forgotten what was not read", 8],
  ] as const)("exits with 1 and names the step when %s", async (what, step) => {
    const sink = await startMailSink();
    const env = { NOTICE_SMTP_URL: sink.url, NOTICE_FROM: "mail@localhost" };
    const scenario = await startScenario({ env });
    const { emulator, topic } = scenario;
    const lines: string[] = [];
    const steps = mailboxStory(sink);
    switch (what) {
      case "the topic takes nothing":
        topic.failure = new PublishFailure("transient", "publish_failed");
        break;
      case "the change of a password ends no token":
        emulator.changePassword = () => {};
        break;
      case "Gmail has forgotten what was not read":
        steps.splice(6, 0, {
          does: "Gmail forgets what was not read.",
          run: async () => {
            emulator.expireHistory(ADA);
            return [];
          },
        });
        break;
    }
    expect(await tellStory(steps, scenario, (line) => lines.push(line))).toBe(1);
    expect(lines.join("\n")).toContain(`Step ${step} did not hold`);
    await scenario.close();
    await sink.close();
  });
});

interface Child extends ChildProcess {
  output(): string;
  ended: Promise<number | null>;
}

function run(script: string, ...args: string[]): Child {
  return runWith({}, script, ...args);
}

function runWith(own: Record<string, string>, script: string, ...args: string[]): Child {
  const env = { ...process.env, ...own };
  const node = ["--import", "tsx", script, ...args];
  const child = spawn(process.execPath, node, { env, stdio: "pipe" });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const ended = once(child, "exit").then(([code]) => code as number | null);
  return Object.assign(child, { output: () => output, ended });
}

type Told = Record<string, unknown>;

/** The page's stream of server-sent events, as a browser's `EventSource` reads it. */
interface Live {
  /** The first message of this kind, told already or to come, that is as wanted. */
  seen(kind: string, isWanted?: (data: Told) => boolean): Promise<Told>;
  /** Every message of this kind so far. */
  all(kind: string): Told[];
  lastId(): string;
  /** All of it, as it came. */
  text(): string;
  close(): void;
}

async function listen(url: string, lastEventId?: string): Promise<Live> {
  const abort = new AbortController();
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const response = await fetch(url, { headers, signal: abort.signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  let text = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
  })();
  // It ends when the test or the server closes it.
  reading.catch(() => {});

  const all = (kind: string) =>
    text
      .split("\n\n")
      .slice(0, -1)
      .filter((message) => message.startsWith(`event: ${kind}\n`))
      .map((message) => JSON.parse(/^data: (.*)$/m.exec(message)?.[1] ?? "") as Told);
  const find = (kind: string, isWanted: (data: Told) => boolean) => all(kind).find(isWanted);

  return {
    async seen(kind, isWanted = () => true) {
      await expect.poll(() => find(kind, isWanted), { timeout: 10_000 }).toBeDefined();
      return find(kind, isWanted) ?? {};
    },
    all,
    lastId: () => [...text.matchAll(/^id: (.+)$/gm)].at(-1)?.[1] ?? "",
    text: () => text,
    close: () => abort.abort(),
  };
}

async function connectAda({ emulator, publicUrl }: Playground["stack"]): Promise<void> {
  const browser = openBrowser();
  const toGoogle = await browser.get(`${publicUrl}/start`);
  const page = await throughGoogle(emulator, browser, toGoogle, { account: ADA });
  expect(page.status).toBe(200);
}

function isOfType(type: string): (event: Told) => boolean {
  return (event) => event["type"] === type;
}
