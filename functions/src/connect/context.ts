import type { Envelope } from "../crypto/envelope.ts";
import type { CallbackClaims } from "../domain/callback-claims.ts";
import type { GoogleEndpoints } from "../google/endpoints.ts";
import type { VerifyIdToken } from "../google/id-token.ts";
import type { MailboxContext } from "../mailbox/context.ts";
import type { PublicLimits } from "../platform/rate-limit.ts";
import type { OnceEach } from "./once-each.ts";
import type { PageLinks } from "./pages/page.ts";

/** What the pages and the authorization of a person use. */
export interface ConnectContext extends MailboxContext {
  endpoints: GoogleEndpoints;
  verifyIdToken: VerifyIdToken;
  /** Seals what a browser stores. */
  envelope: Envelope;
  /** The responses to callbacks of this instance, by `state`. */
  callbacks: OnceEach<RedirectAnswer>;
  /** The claims of callbacks across instances. */
  callbackClaims: CallbackClaims;
  publicLimits: PublicLimits;
  pageLinks: PageLinks;
}

/** A redirect, and the cookies with it. */
export interface RedirectAnswer {
  to: string;
  cookies: readonly string[];
}
