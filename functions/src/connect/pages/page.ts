import { createHash } from "node:crypto";
import { type Html, html } from "../../platform/html.ts";
import { STYLE } from "./style.ts";
import type { Texts } from "../../texts/texts.ts";

/** The operator's name and logo as people see them, and the targets of links and forms. */
export interface PageLinks {
  /** `PUBLIC_URL`: every URL of our own pages begins with it. */
  publicUrl: string;
  /** The origin of Google's consent page, to which our forms redirect. */
  googleOrigin: string;
  app: { readonly name: string; readonly logoUrl?: string; readonly supportEmail?: string };
  /** Whether a disconnect revokes the grant at Google. If not, the person can remove it there. */
  disconnectRevokes: boolean;
}

/** What every page of one request uses: the links, and the texts in the person's language. */
export interface PageFrame extends PageLinks {
  texts: Texts;
}

/** The parts of a page that differ: status, heading, content. */
export interface PageContent {
  status: number;
  title: string;
  body: Html;
  /** Other origins that a form may redirect to: `form-action` covers redirects as well. */
  formTargets?: readonly string[];
}

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** Renders a page of `connect`: the operator's name and logo, a heading, the content, a contact. */
export function page(
  { status, title, body, formTargets = [] }: PageContent,
  { app, texts }: PageFrame,
): Response {
  const { name, logoUrl, supportEmail } = app;
  const windowTitle = `${title} – ${name}`;
  const document = html`<!doctype html>
    <html lang="${texts.language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${windowTitle}</title>
        ${{ markup: `<style>${STYLE}</style>` }}
      </head>
      <body>
        <header>${logoUrl === undefined ? undefined : logo(logoUrl)}<span>${name}</span></header>
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
        ${supportEmail === undefined ? undefined : footer(supportEmail, texts)}
      </body>
    </html> `;
  return new Response(document.markup, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-language": texts.language,
      "content-security-policy": contentSecurityPolicy(formTargets, logoUrl),
      vary: "accept-language",
    },
  });
}

/** The name follows the logo, so a screen reader skips the logo. */
function logo(url: string): Html {
  return html`<img src="${url}" alt="" height="32" referrerpolicy="no-referrer" />`;
}

function footer(supportEmail: string, { support }: Texts): Html {
  const address = html`<a href="mailto:${supportEmail}">${supportEmail}</a>`;
  return html`<footer>${support} ${address}</footer>`;
}

/** Allows our style sheet by its hash and the logo by its origin, and blocks everything else. */
function contentSecurityPolicy(
  formTargets: readonly string[],
  logoUrl: string | undefined,
): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${STYLE_HASH}'`,
    ...(logoUrl === undefined ? [] : [`img-src ${new URL(logoUrl).origin}`]),
    `form-action ${["'self'", ...formTargets].join(" ")}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; ");
}
