import type { Surroundings } from "./context.ts";
import type { Clock } from "./domain/clock.ts";
import type { Config } from "./config/config.ts";
import type { GoogleEndpoints } from "./google/endpoints.ts";
import { gmailClient } from "./google/gmail.ts";
import { idTokenVerifier } from "./google/id-token.ts";
import { googleOAuth } from "./google/oauth.ts";
import { googleRiscKeys } from "./google/risc-keys.ts";
import { securityEventVerifier } from "./security-events/verification.ts";

/** What of the surroundings is Google's, as the configuration says. Makes no call. */
export function googleClients(
  { oauth, risc }: Config,
  endpoints: GoogleEndpoints,
  clock: Clock,
): Pick<Surroundings, "gmail" | "oauth" | "verifyIdToken" | "verifySecurityEvent"> {
  return {
    gmail: gmailClient(endpoints.gmail, clock),
    oauth: googleOAuth(oauth, endpoints, clock),
    verifyIdToken: idTokenVerifier(oauth.clientId, endpoints, clock),
    verifySecurityEvent: securityEventVerifier(
      googleRiscKeys(endpoints, clock),
      risc.clientIds,
      clock,
    ),
  };
}
