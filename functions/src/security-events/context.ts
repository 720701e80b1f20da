import type { SeenEvents } from "../domain/seen-events.ts";
import type { GrantContext } from "../grant/context.ts";
import type { Verification } from "./verification.ts";

/** What the work on security events uses. */
export interface SecurityEventContext extends GrantContext {
  seenEvents: SeenEvents;
  verifySecurityEvent(body: string): Promise<Verification>;
}
