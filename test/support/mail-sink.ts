import { once } from "node:events";
import type { AddressInfo } from "node:net";
import PostalMime, { type Email } from "postal-mime";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

/** A mail as it reached the server, with the addresses of its envelope. */
export interface SunkMail {
  from: string;
  to: readonly string[];
  raw: string;
  mail: Email;
}

/** An answer in place of the good one: a reply code and what follows it. */
export type Reply = [code: number, text: string];

/** A mail server on loopback that keeps every mail and passes none on. */
export interface MailSink {
  /** For `NOTICE_SMTP_URL`. */
  url: string;
  port: number;
  mails: SunkMail[];
  /** Called for each mail once it is kept, before the sender is answered. */
  onMail: (mail: SunkMail) => void;
  /** What is answered instead, at each step; after `data` the mail is kept all the same. */
  replies: { connect?: Reply; sender?: Reply; recipient?: Reply; data?: Reply };
  close(): Promise<void>;
}

const LOOPBACK = "127.0.0.1";

/** Starts on the wanted port, or on a free one. With `login` it wants this user and password. */
export async function startMailSink(
  options: {
    port?: number;
    login?: { user: string; pass: string };
    server?: SMTPServerOptions;
  } = {},
): Promise<MailSink> {
  const { login } = options;
  const server = new SMTPServer({
    logger: false,
    authOptional: login === undefined,
    disabledCommands: ["STARTTLS", ...(login === undefined ? ["AUTH"] : [])],
    disableReverseLookup: true,
    onAuth({ username, password }, _, callback) {
      const isRight = username === login?.user && password === login?.pass;
      callback(isRight ? null : refusal([535, "5.7.8 not you"]), { user: username });
    },
    onConnect: (_, callback) => callback(refusal(sink.replies.connect)),
    onMailFrom: (_, __, callback) => callback(refusal(sink.replies.sender)),
    onRcptTo: (_, __, callback) => callback(refusal(sink.replies.recipient)),
    async onData(stream, { envelope }, callback) {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      const raw = Buffer.concat(chunks).toString();
      const from = envelope.mailFrom === false ? "" : envelope.mailFrom.address;
      const to = envelope.rcptTo.map(({ address }) => address);
      const mail = { from, to, raw, mail: await PostalMime.parse(raw) };
      sink.mails.push(mail);
      sink.onMail(mail);
      callback(refusal(sink.replies.data));
    },
    ...options.server,
  });
  greetAtOnce(server);
  // A client that goes away in the middle is no matter of the server's.
  server.on("error", () => {});
  server.listen(options.port ?? 0, LOOPBACK);
  await once(server.server, "listening");
  const { port } = server.server.address() as AddressInfo;

  const sink: MailSink = {
    url: `smtp://${LOOPBACK}:${port}`,
    port,
    mails: [],
    onMail: () => {},
    replies: {},
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return sink;
}

/** The library waits a tenth of a second for clients that talk too early; hundreds of mails do not. */
function greetAtOnce(server: SMTPServer): void {
  const connect = server.connect.bind(server);
  server.connect = (socket, options) => {
    connect(socket, options);
    const connection = [...server.connections].at(-1);
    connection?.connectionReady();
    if (connection !== undefined) connection.connectionReady = () => {};
  };
}

/** The address of the button, which the text names as well. */
export function linkIn({ mail }: SunkMail): string {
  return /^https?:\/\/\S+\/reauthorize\/\S+$/m.exec(mail.text ?? "")?.[0] ?? "";
}

function refusal(reply: Reply | undefined): Error | null {
  if (reply === undefined) return null;
  const [responseCode, text] = reply;
  return Object.assign(new Error(text), { responseCode });
}
