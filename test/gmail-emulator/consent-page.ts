import { html } from "hono/html";
import type { AuthorizationRefused, AuthorizationRequest } from "./authorization.ts";
import type { Account } from "./google.ts";
import { isSignInScope } from "./scopes.ts";

type Html = ReturnType<typeof html>;

/** Where a person chooses an account, unticks what they do not want to allow, and decides. */
export function consentPage(request: AuthorizationRequest, accounts: readonly Account[]): Html {
  const { client, scopes, loginHint, hostedDomain } = request;
  const listed = accounts.filter(
    (account) => hostedDomain === undefined || isInDomain(account, hostedDomain),
  );
  const hinted = listed.find(({ email, sub }) => isHinted(loginHint, email, sub));
  const chosen = hinted ?? listed[0];
  return page(
    "Sign in - Google (emulated)",
    html`<h1>Choose an account</h1>
      <p>to continue to <strong>${client.clientId}</strong></p>
      <form method="post">
        <fieldset>
          <legend>Account</legend>
          ${listed.map(
            ({ email, name, sub }) =>
              html`<p>
                <label
                  ><input
                    type="radio"
                    name="account"
                    value="${sub}"
                    data-email="${email}"
                    required
                    ${sub === chosen?.sub ? "checked" : ""}
                  />
                  ${name} (${email})</label
                >
              </p>`,
          )}
          ${listed.length === 0 ? html`<p>There is no account. Create one first.</p>` : ""}
        </fieldset>
        <fieldset>
          <legend>What the application may do</legend>
          ${scopes.map((scope) =>
            isSignInScope(scope)
              ? html`<p>${scope} (always granted)</p>`
              : html`<p>
                  <label
                    ><input type="checkbox" name="scope" value="${scope}" checked /> ${scope}</label
                  >
                </p>`,
          )}
        </fieldset>
        <button name="decision" value="allow">Allow</button>
        <button name="decision" value="deny" formnovalidate>Deny</button>
      </form>`,
  );
}

function isInDomain({ hostedDomain }: Account, wanted: string): boolean {
  return wanted === "*" ? hostedDomain !== undefined : hostedDomain === wanted;
}

function isHinted(loginHint: string | undefined, email: string, sub: string): boolean {
  return loginHint === sub || loginHint?.toLowerCase() === email.toLowerCase();
}

/** What Google shows when it cannot trust the request enough to send the person back. */
export function refusalPage({ status, error, description }: AuthorizationRefused): Html {
  return page(
    `Error ${status}: ${error}`,
    html`<h1>Access blocked: authorization error</h1>
      <p>${description}</p>
      <p><strong>Error ${status}: ${error}</strong></p>`,
  );
}

function page(title: string, body: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <style>
          body {
            font:
              16px/1.5 system-ui,
              sans-serif;
            max-width: 34rem;
            margin: 2rem auto;
            padding: 0 1rem;
          }
          fieldset {
            margin: 1rem 0;
          }
          label {
            overflow-wrap: anywhere;
          }
        </style>
      </head>
      <body>
        <main>${body}</main>
      </body>
    </html>`;
}
