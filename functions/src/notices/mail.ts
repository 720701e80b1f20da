import type { Notice } from "../domain/notice.ts";
import { createHash } from "node:crypto";
import type { Config } from "../config/config.ts";
import { type Html, html } from "../platform/html.ts";
import { textsFor } from "../texts/languages.ts";
import { adviceOn } from "../texts/texts.ts";

/** A mail as plain text and as HTML, with the id by which mail systems recognize a duplicate. */
export interface NoticeMail {
  /** RFC 5322 §3.6.4. A mail that is sent again keeps its id. */
  messageId: string;
  subject: string;
  text: string;
  html: string;
}

/**
 * Writes a mail that asks a person to allow access again, in their language. Apart from the logo, the re-authorization
 * link is the only URL in it. `domain` is the domain of the sender's email address.
 */
export function noticeMail(
  notice: Notice,
  { name, logoUrl, supportEmail }: Config["app"],
  domain: string,
): NoticeMail {
  const texts = textsFor(notice.language ?? null);
  const { notice: words, reauthorize, language } = texts;
  const { emailAddress, isLast, number, reason, reauthorizeUrl } = notice;
  const { host } = new URL(reauthorizeUrl);
  const kind = isLast ? "last" : number === 0 ? "first" : "reminder";
  const body = words.body(name, emailAddress);
  const advice = adviceOn(reason, texts);
  const orNothing = words.orNothing(name);
  const end = isLast ? words.last : number === 0 ? words.more : undefined;
  const paragraphs = [
    body,
    advice,
    `${words.button}:\n${reauthorizeUrl}`,
    words.link(host),
    [orNothing, end].filter((sentence) => sentence !== undefined).join(" "),
    supportEmail && `${words.questions} ${supportEmail}`,
    `-- \n${name}`,
  ];
  const logo =
    logoUrl === undefined
      ? undefined
      : html`<p><img src="${logoUrl}" alt="" height="40" style="height: 40px; border: 0" /></p>`;
  const questions =
    supportEmail === undefined
      ? undefined
      : html`${words.questions} <a href="mailto:${supportEmail}">${supportEmail}</a><br />`;
  const markup = html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${words.subject[kind](name)}</title>
        ${viewAction(reauthorizeUrl, words.button, body)}
      </head>
      <body
        style="margin: 0; padding: 24px 16px; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere"
      >
        <div style="max-width: 34em; margin: 0 auto">
          ${logo}
          <h1 style="font-size: 22px; line-height: 1.25">${reauthorize.title}</h1>
          <p>${body}</p>
          ${advice === undefined ? undefined : html`<p>${advice}</p>`}
          <p style="margin: 24px 0">
            <a href="${reauthorizeUrl}" style="${BUTTON}">${words.button}</a>
          </p>
          <p>${words.link(host)}</p>
          <p>${orNothing} ${end}</p>
          <p style="font-size: 14px">${questions} ${name}</p>
        </div>
      </body>
    </html> `;
  return {
    messageId: messageId(notice, domain),
    subject: words.subject[kind](name),
    text: `${paragraphs.filter((it) => it !== undefined).join("\n\n")}\n`,
    html: markup.markup,
  };
}

const BUTTON =
  "display: inline-block; padding: 12px 20px; border-radius: 6px; background: #0b57d0; color: #fff; text-decoration: none; font-weight: 600";

/**
 * Lets Gmail show a button next to the subject: a go-to action (schema.org `EmailMessage` with a
 * `ViewAction`). Gmail shows it only for sender domains that are registered with Google.
 */
function viewAction(target: string, name: string, description: string): Html {
  const action = {
    "@context": "http://schema.org",
    "@type": "EmailMessage",
    potentialAction: { "@type": "ViewAction", target, url: target, name },
    description,
  };
  // HTML entities are not decoded inside `<script>`, so escape `<` as `\u003c`.
  const json = JSON.stringify(action).replaceAll("<", "\\u003c");
  return { markup: `<script type="application/ld+json">${json}</script>` };
}

/** A hash, so that mail systems cannot tell which mails are for the same person. */
function messageId({ userId, generation, number }: Notice, domain: string): string {
  const hash = createHash("sha256").update(`${userId}/${generation}/${number}`).digest("hex");
  return `<${hash.slice(0, 32)}@${domain}>`;
}
