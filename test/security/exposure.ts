import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ServerResponse } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { inspect } from "node:util";
import { logPrinting } from "../../functions/src/platform/console-capture.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import type { UserStore } from "../../functions/src/domain/user.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { type MailSink, startMailSink } from "../support/mail-sink.ts";
import { freePort } from "../support/program.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { tokenKeys } from "../support/test-keys.ts";

/** What is configured and must never be seen. */
export const SET = {
  clientSecret: "GOCSPX-emulated-client-secret",
  tokenKeys: tokenKeys("marked", "marked-as-well"),
  returnToSecret: "marked-return-to-secret-0123456789-abcdef",
  smtpPassword: "marked/smtp+password-0001",
};
export const RETURN_TO = "https://app.example/back";

/** The receiver with every secret marked, and with everything recorded that leaves it. */
export interface Exposed {
  scenario: Scenario;
  sink: MailSink;
  /** What was said to Google, as it went over the wire. */
  toGoogle(): string;
  /** Something else that came out of the receiver, like an error that was thrown. */
  note(where: string, what: unknown): void;
  /** Every token, code, verifier, ID token, password and key that there ever was. */
  secrets(): string[];
  /** `where: the beginning of the secret` for each secret that was seen where none may be. */
  leaks(): string[];
  close(): Promise<void>;
}

/** How a secret is named in a failing test: enough to tell which it is. */
const NAME_CHARACTERS = 12;

export async function startExposed(): Promise<Exposed> {
  const seen = new Map<string, string[]>();
  const note = (where: string, what: string) => seen.set(where, [...(seen.get(where) ?? []), what]);
  const toGoogle: string[] = [];

  const login = { user: "marked", pass: SET.smtpPassword };
  const sink = await startMailSink({ login });
  sink.onMail = ({ raw }) => note("mail", raw);
  const smtpUrl = sink.url.replace("//", `//marked:${encodeURIComponent(SET.smtpPassword)}@`);

  const port = await freePort();
  const proxy = await startTcpProxy(`127.0.0.1:${port}`, (data, from) => {
    if (from === "client") toGoogle.push(data.toString("latin1"));
  });
  const scenario = await startScenario({
    emulator: { port },
    env: {
      GMAIL_EMULATOR_HOST: proxy.host,
      TOKEN_KEYS: SET.tokenKeys,
      RETURN_TO_URLS: RETURN_TO,
      RETURN_TO_SECRET: SET.returnToSecret,
      NOTICE_SMTP_URL: smtpUrl,
      NOTICE_FROM: "Mail sync <sync@app.example>",
    },
  });
  tapWrites(scenario.users, (written) => note("store", JSON.stringify(written)));
  const stopTapping = tapAnswers((bytes) => note("answer", bytes));
  const { error, warn } = console;
  logPrinting(
    console,
    createLog((line) => void scenario.logs.push(line)),
  );

  const keys = Object.values((JSON.parse(SET.tokenKeys) as { keys: Record<string, string> }).keys);
  const secrets = () => {
    const said = decodeURIComponent(toGoogle.join("").replaceAll(/%(?![\dA-F]{2})/gi, "%25"));
    const verifiers = [...said.matchAll(/code_verifier=([\w.~-]+)/g)].map(
      ([, found = ""]) => found,
    );
    const issued = scenario.emulator.secretsIssued();
    return [
      // Of a JWT the signature: the rest is what we tell of a person as well, in places.
      ...issued.map((secret) => (secret.startsWith("eyJ") ? secret.replace(/^.*\./, "") : secret)),
      ...verifiers,
      ...Object.values(SET),
      ...keys,
      ...keys.map((key) => Buffer.from(key, "base64").toString("latin1")),
    ].filter((secret, index, all) => all.indexOf(secret) === index);
  };

  return {
    scenario,
    sink,
    toGoogle: () => toGoogle.join(""),
    note: (where, what) => void note(where, show(what)),
    secrets,
    leaks() {
      const all = secrets();
      const places: [where: string, texts: string[]][] = [
        ...seen,
        ["log", scenario.logs],
        ["event", [JSON.stringify(scenario.topic.published)]],
        ["store", [show(scenario.users.dump()), show(scenario.seenEvents.dump())]],
      ];
      return places.flatMap(([where, texts]) =>
        findSecrets(texts.join("\n"), all).map((it) => `${where}: ${it.slice(0, NAME_CHARACTERS)}`),
      );
    },
    async close() {
      Object.assign(console, { error, warn });
      stopTapping();
      await scenario.close();
      await proxy.close();
      await sink.close();
    },
  };

  /** The bytes of each answer as they leave: status line, headers, body. */
  function tapAnswers(onSent: (bytes: string) => void): () => void {
    const ours = new Set(Object.values(scenario.urls).map((url) => Number(new URL(url).port)));
    const tapped = new WeakSet<Socket>();
    const onRequest = (message: unknown) => {
      const { socket, server } = message as {
        response: ServerResponse;
        socket: Socket;
        server: Server;
      };
      if (tapped.has(socket) || !ours.has((server.address() as AddressInfo).port)) return;
      tapped.add(socket);
      const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
      socket.write = (...args: unknown[]) => {
        const [bytes, encoding] = args;
        onSent(
          typeof bytes === "string"
            ? Buffer.from(bytes, encoding === "latin1" ? "latin1" : "utf8").toString("latin1")
            : Buffer.from(bytes as Uint8Array).toString("latin1"),
        );
        return write(...args);
      };
    };
    subscribe("http.server.request.start", onRequest);
    return () => void unsubscribe("http.server.request.start", onRequest);
  }
}

/** Everything written, since what is stored for a moment only would be in no dump at the end. */
function tapWrites(users: UserStore, onWritten: (written: unknown) => void): void {
  const { update, authorize } = users;
  users.update = (user, patch, changes) => {
    onWritten([patch, changes]);
    return update(user, patch, changes);
  };
  users.authorize = async (...args) => {
    const written = await authorize(...args);
    onWritten(written);
    return written;
  };
}

/** All that a careless log could make of something, hidden members and causes among it. */
export function show(what: unknown): string {
  if (typeof what === "string") return what;
  const inspected = inspect(what, {
    depth: null,
    showHidden: true,
    maxArrayLength: null,
    maxStringLength: null,
  });
  return `${inspected}\n${JSON.stringify(what)}\n${String(what)}`;
}
