import { createHash } from "node:crypto";
import { type Html, html } from "./html.ts";

const STYLE = `
:root { color-scheme: light dark; font: 100%/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 34rem; padding: 2rem 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
button, .button { font: inherit; padding: .6rem 1.1rem; border: 0; border-radius: .4rem;
  background: #0b57d0; color: #fff; text-decoration: none; display: inline-block; cursor: pointer; }
button:focus-visible, .button:focus-visible { outline: 3px solid #7cacf8; outline-offset: 2px; }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** Where a form of ours may lead: to us, and from there to Google's consent page. */
function contentSecurityPolicy(formTargets: readonly string[]): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${STYLE_HASH}'`,
    `form-action ${["'self'", ...formTargets].join(" ")}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; ");
}

/** The headers of everything that `connect` answers: nothing is cached, framed, sniffed or referred. */
export function pageHeaders(formTargets: readonly string[] = []): Record<string, string> {
  return {
    "content-security-policy": contentSecurityPolicy(formTargets),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "permissions-policy": "interest-cohort=()",
  };
}

/** One page of `connect`: a heading and what follows it. */
export function page(
  status: number,
  title: string,
  body: Html,
  formTargets: readonly string[] = [],
): Response {
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${title}</title>
        ${{ markup: `<style>${STYLE}</style>` }}
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html> `;
  return new Response(document.markup, {
    status,
    headers: { ...pageHeaders(formTargets), "content-type": "text/html; charset=utf-8" },
  });
}
