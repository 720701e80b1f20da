import type { Ports } from "./context.ts";
import type { Clock } from "./domain/clock.ts";
import type { Config } from "./config/config.ts";
import type { GoogleEndpoints } from "./google/endpoints.ts";
import { gmailClient } from "./google/gmail.ts";
import { idTokenVerifier } from "./google/id-token.ts";
import { gmailPassThrough } from "./google/gmail-pass-through.ts";
import { googleOAuth } from "./google/oauth.ts";
import { googleRiscKeys } from "./google/risc-keys.ts";
import { securityEventVerifier } from "./security-events/verification.ts";

/** Returns the ports of Google's services, as configured. Makes no call. */
export function googleClients(
  { oauth, risc }: Config,
  endpoints: GoogleEndpoints,
  clock: Clock,
): Pick<Ports, "gmail" | "passThrough" | "oauth" | "verifyIdToken" | "verifySecurityEvent"> {
  return {
    gmail: gmailClient(endpoints.gmail, clock),
    passThrough: gmailPassThrough(endpoints.gmail, clock),
    oauth: googleOAuth(oauth, endpoints, clock),
    verifyIdToken: idTokenVerifier(oauth.clientId, endpoints, clock),
    verifySecurityEvent: securityEventVerifier(
      googleRiscKeys(endpoints, clock),
      risc.clientIds,
      clock,
    ),
  };
}
