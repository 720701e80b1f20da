import { readFileSync } from "node:fs";
import path from "node:path";
import { table } from "../../functions/table.ts";
import { titleOf } from "../support/test-titles.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** The page whose table is made from the titles of tests. */
export const VERIFICATION_PAGE = "infra/docs/google-verification.md";
const TABLE = /(<!-- controls -->\n)[^]*?(\n<!-- end of controls -->)/;

interface Control {
  /** The section of OWASP ASVS 5.0 that it belongs to. */
  section: string;
  what: string;
  /** Files, and how titles in them begin or what they contain. */
  tests: readonly [file: string, title: string][];
}

/** What an assessor asks for (CASA follows OWASP ASVS), and the tests that show it. */
const CONTROLS: readonly Control[] = [
  {
    section: "V1.2 Injection prevention",
    what: "addresses and names from outside are only text in pages",
    tests: [["connect/pages", "O16: shows addresses and names only as text"]],
  },
  {
    section: "V2.4 Anti-automation",
    what: "repeated starts and callbacks cost nothing and store nothing",
    tests: [
      ["connect/session", "C6: a browser that starts again and again"],
      ["connect/callback", "O4: stores nothing for a callback without a valid cookie"],
    ],
  },
  {
    section: "V3.3 Cookie setup",
    what: "cookies are for one host, hidden from scripts, sealed, and expire",
    tests: [
      ["connect/session", "C1: over TLS they belong to this host only"],
      ["connect/session", "C1: their content cannot be read, altered"],
    ],
  },
  {
    section: "V3.4 Browser security headers",
    what: "every page and every refusal has them; no script may run",
    tests: [
      ["connect/pages", "headers: every page has all of them"],
      ["connect/pages", "headers: redirects, refusals and the other functions"],
      ["connect/pages", "O16: no script, no style without its hash"],
    ],
  },
  {
    section: "V3.5 Browser origin separation",
    what: "no other site can change anything",
    tests: [
      ["connect/forms", "C3: a form sent by %s does nothing"],
      ["connect/forms", "C3: no GET but the callback changes anything"],
    ],
  },
  {
    section: "V4.1 Web service security",
    what: "bodies are bounded, and methods and paths that are not served are rejected",
    tests: [
      ["security-events/input", "is answered 413 when it is larger"],
      ["security-events/input", "is answered 405 to another method"],
    ],
  },
  {
    section: "V7.4 Session termination",
    what: "a disconnect, a security event and a re-authorization end every session",
    tests: [
      ["connect/session", "C5: a disconnect ends every session"],
      ["connect/session", "C5: a security event ends every session"],
      ["connect/session", "C4: a re-authorization begins a new one"],
    ],
  },
  {
    section: "V8.2 Authorization",
    what: "each account has only the rights of its function, and only two functions are public",
    tests: [
      ["deploy/gcloud", "lets the functions use the database of the receiver, and no other"],
      ["deploy/gcloud", "lets only Gmail publish to its topic"],
      ["deploy/firebase-discovery", "are private except connect and securityEvent"],
    ],
  },
  {
    section: "V9.1 and V9.2 Self-contained tokens",
    what: "ID tokens and security events: signature, issuer, audience, time, kind",
    tests: [
      ["connect/identity", "O13: an ID token %s is rejected"],
      ["security-events/input", "is answered 400 %s: %s"],
      ["connect/start-ticket", "%s is rejected"],
    ],
  },
  {
    section: "V10.2 OAuth client",
    what: "state, PKCE, nonce and issuer; one redirect URI; the narrowest scopes",
    tests: [
      ["connect/callback", "O1: rejects a victim who finishes an attacker's flow"],
      ["connect/identity", "O5: an attacker's code in a victim's flow fails"],
      ["connect/start", "O12: asks Google for the narrowest scopes"],
      ["connect/start", "O7: forged host headers change neither"],
    ],
  },
  {
    section: "V11.3 Encryption algorithms",
    what: "AES-256-GCM; a changed bit and a copied value are detected",
    tests: [
      ["security/tokens-at-rest", "T1: uses AES-256-GCM"],
      ["security/tokens-at-rest", "T3: detects a change of any bit"],
      ["security/tokens-at-rest", "T2: Ada's refresh token cannot be decrypted in Bob's"],
    ],
  },
  {
    section: "V13.3 Secret management",
    what: "secrets are in Secret Manager and on no command line; keys are rotated",
    tests: [
      ["deploy/gcloud", "puts no secret on a command line"],
      ["security/key-rotation", "T5: replaces the key of every stored token"],
      ["security/tokens-at-rest", "T10: with both enabled"],
    ],
  },
  {
    section: "V14.2 Data protection",
    what: "no secret in a URL, in the store in clear, or in the log of requests",
    tests: [
      ["security/secrets", "L8: have no secret in a URL"],
      ["security/tokens-at-rest", "T6, T8: contains no token, code or secret"],
      ["deploy/gcloud", "excludes URLs with codes or links from the request log"],
    ],
  },
  {
    section: "V14.3 and deletion of data",
    what: "people erase their data and end the grant; old data is erased",
    tests: [
      ["connect/retention", "is asked first; then everything is gone"],
      ["connect/disconnect", "stops the watch, revokes at Google, removes the tokens"],
      ["connect/retention", "is erased 90 days after a person disconnected"],
    ],
  },
  {
    section: "V15.2 Dependencies",
    what: "exact versions and hashes, a bill of materials, releases that can be built again",
    tests: [
      ["deploy/supply-chain", "locks every package at the version and the hash"],
      ["deploy/supply-chain", "has a bill of materials"],
      ["deploy/release", "has the same bytes, whenever and from whichever folder"],
    ],
  },
  {
    section: "V16.2 Logging",
    what: "log records have no token, code, link or address",
    tests: [
      ["security/secrets", "no log line contains an email address"],
      ["security/logging", "L1: strings, numbers, booleans"],
    ],
  },
  {
    section: "V16.5 Error handling",
    what: "an error is a page without details; logs keep its class and place only",
    tests: [
      ["connect/pages", "an error is a page with its own status"],
      ["security/logging", "L6: keeps an error's class and place"],
    ],
  },
];

/** Returns the page with the table of today's tests. Throws for a control whose test is gone. */
export function verificationPage(): string {
  const page = readFileSync(path.join(ROOT, VERIFICATION_PAGE), "utf8");
  const rows = CONTROLS.map(({ section, what, tests }) => [
    section,
    what,
    tests.map(([file, title]) => `${file}: ${titleOf(file, title)}`).join("<br>"),
  ]);
  const made = table(["OWASP ASVS 5.0", "what is done", "tests, in `test/`"], rows);
  return page.replace(TABLE, (_, begin: string, end: string) => `${begin}\n${made}\n${end}`);
}
