import { type NoticeOutcome, type SendNotice } from "../domain/notice.ts";
import assert from "node:assert/strict";
import type { Transporter } from "nodemailer";
import { type Clock, later } from "../domain/clock.ts";
import type { Config } from "../config/config.ts";
import { isLoopback } from "../config/formats.ts";
import { noticeMail } from "./mail.ts";
import { SEND_MS_MAX } from "./series.ts";

const CONNECT_MS_MAX = 10_000;
/** The pause after a mail server could not be reached or rejected the configuration. */
const REST_MS = 60_000;

/**
 * Returns a sender of mails through the server of `NOTICE_SMTP_URL`, one connection each. Except on
 * loopback, it sends nothing before TLS is established (RFC 3207, RFC 8314) with a certificate that
 * this machine trusts. After a failure that concerns every mail, it does not call the server for a
 * minute, within this instance: mails fail at once.
 */
export function smtpNotices(
  { smtpUrl, from, ehloName }: NonNullable<Config["notices"]>,
  app: Config["app"],
  clock: Clock,
): SendNotice {
  const sender = parseSender(from);
  const domain = sender.address.slice(sender.address.lastIndexOf("@") + 1);
  let opened: Promise<Transporter> | undefined;
  let restUntil: Date | undefined;

  return async (notice) => {
    if (restUntil !== undefined && restUntil > clock.now()) {
      return { kind: "failed", reason: "server_resting", isOfServer: true };
    }
    try {
      opened ??= open(smtpUrl, ehloName);
      const transport = await opened;
      await transport.sendMail({
        ...noticeMail(notice, app, domain),
        from: sender,
        to: { name: "", address: notice.emailAddress },
        ...(app.supportEmail !== undefined && { replyTo: app.supportEmail }),
        date: clock.now(),
        // RFC 3834 §5: prevents automatic replies.
        headers: { "Auto-Submitted": "auto-generated" },
        xMailer: false,
        disableFileAccess: true,
        disableUrlAccess: true,
        signal: AbortSignal.timeout(SEND_MS_MAX),
      });
      return { kind: "sent" };
    } catch (error) {
      const { isShared, ...outcome } = classify(error);
      if (isShared) restUntil = later(clock.now(), REST_MS);
      return outcome;
    }
  };
}

/** Why a mail server rejected the login, or could not be reached. Contains nothing of the login. */
export type MailServerAnswer = { kind: "accepted" } | NotSent;

type NotSent = Exclude<NoticeOutcome, { kind: "sent" }>;

/** Connects, greets and logs in as for a mail, and sends none. */
export async function verifyMailServer({
  smtpUrl,
  ehloName,
}: NonNullable<Config["notices"]>): Promise<MailServerAnswer> {
  const transport = await open(smtpUrl, ehloName);
  try {
    await transport.verify();
    return { kind: "accepted" };
  } catch (error) {
    const { isShared: _, ...answer } = classify(error);
    return answer;
  } finally {
    transport.close();
  }
}

/** Loaded with the first mail: most instances never send one. */
async function open(smtpUrl: string, ehloName: string | undefined): Promise<Transporter> {
  const { createTransport } = await import("nodemailer");
  const { protocol, hostname, port, username, password } = new URL(smtpUrl);
  const secure = protocol === "smtps:";
  return createTransport({
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: !secure && !isLoopback(hostname),
    ...(username !== "" && {
      auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    }),
    // By default the machine's own name, which is `localhost` on Cloud Run: some relays reject it.
    ...(ehloName !== undefined && { name: ehloName }),
    connectionTimeout: CONNECT_MS_MAX,
    greetingTimeout: CONNECT_MS_MAX,
    dnsTimeout: CONNECT_MS_MAX,
    socketTimeout: SEND_MS_MAX,
    logger: false,
    debug: false,
  });
}

/** Parses `NOTICE_FROM` here, because a colon in the name would make it a group. */
function parseSender(from: string): { name: string; address: string } {
  const [, name = "", address = from] = /^([^<>]*)<([^<>]+)>$/.exec(from) ?? [];
  assert(address.includes("@"), "the configuration has an address to send from");
  return { name: name.trim().replace(/^"(.*)"$/, "$1"), address };
}

/** A failure in nodemailer's format: its own code, the system's, and the server's reply. */
interface SmtpFailure {
  code?: unknown;
  originalCode?: unknown;
  responseCode?: unknown;
  response?: unknown;
  command?: unknown;
}

const MISCONFIGURED = new Set<unknown>(["ENOAUTH", "ECONFIG", "EREQUIRETLS"]);
/** Node's errors for an untrusted certificate, or for a peer without TLS. */
const UNTRUSTED = /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ENOTFOUND$)/;
/**
 * RFC 3463 §3: about the sender's address, the message, or policy (a relay that does not know the
 * receiver). Codes about the recipient begin with 5.1 or 5.2, or say nothing.
 */
const OURS = /^5\.(1\.[78]|[67]\.)/;

function classify(error: unknown): NotSent & { isShared: boolean } {
  const { code, originalCode, responseCode, response, command } = error as SmtpFailure;
  const [, enhanced = ""] = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(String(response)) ?? [];
  const reason = [originalCode ?? code, responseCode, enhanced]
    .filter((part) => typeof part === "number" || /^[\w.]{1,40}$/.test(String(part ?? "")))
    .join(" ");
  const isOfOne = command === "RCPT TO" || command === "DATA";
  // Before the first command about a mail: at the connection, the greeting or the login.
  const isOfServer = !isOfOne && command !== "MAIL FROM";
  if (typeof responseCode === "number") {
    const isPermanent = responseCode >= 500 && responseCode !== 503;
    if (!isPermanent) {
      return { kind: "failed", reason, isOfServer, isShared: !isOfOne || responseCode === 421 };
    }
    const isRecipient = command === "RCPT TO" ? !OURS.test(enhanced) : /^5\.[12]\./.test(enhanced);
    return isOfOne && isRecipient && !OURS.test(enhanced)
      ? { kind: "refused", reason, isShared: false }
      : { kind: "misconfigured", reason, isShared: true };
  }
  const isOurs = MISCONFIGURED.has(code) || UNTRUSTED.test(String(originalCode));
  if (isOurs) return { kind: "misconfigured", reason, isShared: true };
  return { kind: "failed", reason, isOfServer, isShared: true };
}
