import { createHash } from "node:crypto";
import { type Html, html } from "./html.ts";
import { STYLE } from "./style.ts";
import { TEXTS } from "./texts.ts";

/** What people see of whoever runs this, and where the pages' links and forms lead. */
export interface PageLinks {
  /** `PUBLIC_URL`: every address on our pages begins with it. */
  publicUrl: string;
  /** The origin of Google's consent page, to which our forms redirect. */
  googleOrigin: string;
  app: { readonly name: string; readonly logoUrl?: string; readonly supportEmail?: string };
  /** Whether a disconnect ends the access at Google too; otherwise the person can do that there. */
  disconnectRevokes: boolean;
}

export interface PageContent {
  status: number;
  title: string;
  body: Html;
  /** Where a form leads beside us: the policy counts what the form's answer redirects to. */
  formTargets?: readonly string[];
}

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** One page of `connect`: whose it is, a heading, what follows it, and whom to ask. */
export function page(
  { status, title, body, formTargets = [] }: PageContent,
  { app }: PageLinks,
): Response {
  const { name, logoUrl, supportEmail } = app;
  const document = html`<!doctype html>
    <html lang="${TEXTS.language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${title} – ${name}</title>
        ${{ markup: `<style>${STYLE}</style>` }}
      </head>
      <body>
        <header>${logoUrl === undefined ? undefined : logo(logoUrl)}<span>${name}</span></header>
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
        ${supportEmail === undefined ? undefined : footer(supportEmail)}
      </body>
    </html> `;
  return new Response(document.markup, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": contentSecurityPolicy(formTargets, logoUrl),
    },
  });
}

/** The name stands beside it, so it says nothing to those who cannot see it. */
function logo(url: string): Html {
  return html`<img src="${url}" alt="" height="32" referrerpolicy="no-referrer" />`;
}

function footer(supportEmail: string): Html {
  const address = html`<a href="mailto:${supportEmail}">${supportEmail}</a>`;
  return html`<footer>${TEXTS.support} ${address}</footer>`;
}

/** Our own style sheet by its hash, the logo's origin, and nothing else from anywhere. */
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
