import type { Notice } from "../../functions/src/domain/notice.ts";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import type { EmailAddress } from "../../functions/src/domain/email-address.ts";
import { smtpNotices } from "../../functions/src/notices/smtp.ts";
import type { UserId } from "../../functions/src/domain/user.ts";
import { type MailSink, type SunkMail, startMailSink } from "../support/mail-sink.ts";
import { startStrictRelay } from "./strict-relay.ts";
import { movableClock } from "../support/scenario.ts";

const FROM = "Acme Desk <desk@app.example>";
/** Of `localhost`, signed by itself, for a hundred years. */
const CERTIFICATE = path.resolve(import.meta.dirname, "./localhost.pem");
const TLS = { key: readFileSync(CERTIFICATE), cert: readFileSync(CERTIFICATE) };
/** What a URL cannot hold as it is. */
const LOGIN = { user: "desk@app.example", pass: "p@ss:wörd/%?#" };

const NOTICE: Notice = {
  userId: "113" as UserId,
  generation: 1,
  number: 0,
  isLast: false,
  emailAddress: "ada@example.com" as EmailAddress,
  reason: "invalid_grant",
  reauthorizeUrl: "https://connect.example.com/reauthorize/v1.k.aXY.bGluaw.dGFn",
};

let sink: MailSink | undefined;
afterEach(async () => {
  await sink?.close();
  sink = undefined;
});

async function open(options: Parameters<typeof startMailSink>[0] = {}): Promise<MailSink> {
  sink = await startMailSink(options);
  return sink;
}

const send = (smtpUrl: string, over: Partial<Notice> = {}, from = FROM, app = { name: "Acme" }) =>
  smtpNotices({ smtpUrl, from }, app, movableClock())({ ...NOTICE, ...over });

const credentials = `${encodeURIComponent(LOGIN.user)}:${encodeURIComponent(LOGIN.pass)}`;

describe("sending through NOTICE_SMTP_URL", () => {
  it("logs in with the user and the password of the URL, decoded", async () => {
    const { port, mails } = await open({ login: LOGIN });
    expect(await send(`smtp://${credentials}@127.0.0.1:${port}`)).toEqual({ kind: "sent" });
    expect(mails).toHaveLength(1);
  });

  it("greets the server with the host of PUBLIC_URL, which strict relays require", async () => {
    const relay = await startStrictRelay();
    try {
      const server = { smtpUrl: relay.url, from: FROM };
      const clock = movableClock();
      const named = smtpNotices({ ...server, ehloName: "mail.example" }, { name: "Acme" }, clock);
      const unnamed = smtpNotices(server, { name: "Acme" }, clock);
      expect(await named(NOTICE)).toEqual({ kind: "sent" });
      expect(relay).toMatchObject({ mails: 1, greetings: ["mail.example"] });
      expect(await unnamed(NOTICE)).toMatchObject({ kind: "failed", isOfServer: true });
      expect(await unnamed(NOTICE)).toMatchObject({ reason: "server_resting", isOfServer: true });
      expect(relay.mails).toBe(1);
    } finally {
      await relay.close();
    }
  });

  it.each([
    ["a wrong password", "desk%40app.example:wrong@", "EAUTH 535 5.7.8"],
    ["no password at all", "", "EENVELOPE 530"],
  ])(
    "treats %s as a configuration error, and reveals nothing of it",
    async (_, userinfo, reason) => {
      const { port, mails } = await open({ login: LOGIN });
      const outcome = await send(`smtp://${userinfo}127.0.0.1:${port}`);
      expect(outcome).toEqual({ kind: "misconfigured", reason });
      expect(mails).toEqual([]);
    },
  );

  it("sends nothing unencrypted except on loopback", async () => {
    const { port, mails } = await open({ login: LOGIN });
    // Reaches this machine, by a name that need not.
    const outcome = await send(`smtp://${credentials}@0.0.0.0:${port}`);
    expect(outcome).toEqual({ kind: "misconfigured", reason: "ETLS 500" });
    expect(mails).toEqual([]);
  });

  it.each(["smtps", "smtp"])(
    "trusts no certificate without a trusted issuer (%s)",
    async (scheme) => {
      const { port, mails } = await open({
        login: LOGIN,
        server: { ...TLS, secure: scheme === "smtps", disabledCommands: [] },
      });
      const outcome = await send(`${scheme}://${credentials}@localhost:${port}`);
      expect(outcome).toEqual({ kind: "misconfigured", reason: "DEPTH_ZERO_SELF_SIGNED_CERT" });
      expect(mails).toEqual([]);
    },
  );

  it.each(["smtps", "smtp"])("sends over TLS to a server that is trusted (%s)", async (scheme) => {
    const secured: boolean[] = [];
    const { port, mails } = await open({
      login: LOGIN,
      server: {
        ...TLS,
        secure: scheme === "smtps",
        disabledCommands: [],
        onRcptTo(_, session, callback) {
          secured.push(session.secure);
          callback();
        },
      },
    });
    // Only a new process can be told whom to trust.
    const config = { smtpUrl: `${scheme}://${credentials}@localhost:${port}`, from: FROM };
    const code = `
      import { smtpNotices } from "./functions/src/notices/smtp.ts";
      const clock = { now: () => new Date() };
      const send = smtpNotices(${JSON.stringify(config)}, { name: "Acme" }, clock);
      console.log(JSON.stringify(await send(${JSON.stringify(NOTICE)})));`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", code];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: CERTIFICATE },
    });
    expect(JSON.parse(stdout)).toEqual({ kind: "sent" });
    expect(mails).toHaveLength(1);
    expect(secured).toEqual([true]);
  });

  it.each([
    ["a server that is not there", "smtp://127.0.0.1:1", "failed", "ECONNREFUSED"],
    ["a name that does not exist", "smtp://nobody.invalid", "misconfigured", "ENOTFOUND"],
  ])("knows %s", async (_, url, kind, reason) => {
    expect(await send(url)).toMatchObject({ kind, reason });
  });

  it("recognizes a server without TLS", async () => {
    const { port } = await open();
    const outcome = await send(`smtps://127.0.0.1:${port}`);
    expect(outcome).toMatchObject({ kind: "misconfigured" });
  });

  it.each([
    ["connect", 421, "4.3.2 busy", "failed"],
    ["connect", 554, "5.7.1 your network is not welcome", "misconfigured"],
    ["sender", 451, "4.7.1 later", "failed"],
    ["sender", 550, "5.1.8 bad sender", "misconfigured"],
    ["recipient", 450, "4.7.1 greylisted", "failed"],
    ["recipient", 550, "5.1.1 no such user", "refused"],
    ["recipient", 552, "5.2.2 mailbox full", "refused"],
    ["recipient", 550, "no such user", "refused"],
    ["recipient", 554, "5.7.1 relay access denied", "misconfigured"],
    ["recipient", 503, "5.5.1 nested", "failed"],
    ["data", 452, "4.3.1 disk full", "failed"],
    ["data", 554, "5.7.1 looks like spam", "misconfigured"],
    ["data", 554, "not verified", "misconfigured"],
    ["data", 550, "5.1.1 no such user", "refused"],
  ] as const)("after %s: %i %s, a mail is %s", async (step, code, text, kind) => {
    const { url, replies } = await open();
    replies[step] = [code, text];
    const outcome = await send(url);
    expect(outcome.kind).toBe(kind);
    expect(outcome).toMatchObject({ reason: expect.stringContaining(String(code)) });
    expect(JSON.stringify(outcome)).not.toMatch(/user|spam|ada|busy/);
  });

  it.each([
    [FROM, { name: "Acme Desk", address: "desk@app.example" }],
    ["desk@app.example", { name: "", address: "desk@app.example" }],
    ["Acme, Desk <desk@app.example>", { name: "Acme, Desk", address: "desk@app.example" }],
    ['"Acme, Desk" <desk@app.example>', { name: "Acme, Desk", address: "desk@app.example" }],
    ["Acme: a; b <desk@app.example>", { name: "Acme: a; b", address: "desk@app.example" }],
    ["Büro <desk@app.example>", { name: "Büro", address: "desk@app.example" }],
  ])("comes from %s", async (from, expected) => {
    const { url, mails } = await open();
    expect(await send(url, {}, from)).toEqual({ kind: "sent" });
    expect(mails[0]?.mail.from).toEqual(expected);
    expect(mails[0]?.from).toBe("desk@app.example");
  });

  it("sends replies to the support address", async () => {
    const { url, mails } = await open();
    await send(url, {}, FROM, { name: "Acme", supportEmail: "help@app.example" } as never);
    expect(mails[0]?.mail.replyTo).toEqual([{ name: "", address: "help@app.example" }]);
  });

  it("does not let any input end a header or add a recipient", async () => {
    const { url, mails } = await open();
    await send(url);
    const [plain] = mails as [SunkMail];
    const shape = ({ mail, to }: SunkMail) => [mail.headers.map(({ key }) => key), to];
    const evil = "x\r\nBcc: eve@evil.example\r\nX-Evil: 1";
    await send(url, { reason: evil, userId: evil as UserId });
    await send(url, {}, FROM, { name: evil });
    await send(url, { reauthorizeUrl: `https://connect.example.com/reauthorize/${evil}` });
    expect(mails).toHaveLength(4);
    for (const mail of mails) expect(shape(mail)).toEqual(shape(plain));
    // An address like this is never stored; if one were, the mail would reach no one else.
    for (const address of [
      evil,
      "ada@example.com\r\nBcc: eve@evil.example",
      "a@b.example, c@d.example",
    ]) {
      await send(url, { emailAddress: address as EmailAddress });
    }
    expect(mails.flatMap(({ to }) => to)).not.toContain("eve@evil.example");
    for (const { to, mail } of mails.slice(4)) {
      expect(to).toHaveLength(1);
      expect(mail.headers.map(({ key }) => key)).not.toContain("bcc");
      expect(mail.headers.map(({ key }) => key)).not.toContain("x-evil");
    }
  });
});
