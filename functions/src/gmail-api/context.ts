import type { Access, Answer } from "../domain/access.ts";
import type { User, UserId } from "../domain/user.ts";
import type { PassThrough } from "../google/gmail-pass-through.ts";
import type { GrantContext } from "../grant/context.ts";
import type { Pacing } from "./pacing.ts";

/** A user with a live access token that is stored, or why there is none. */
export type ReadyAccess =
  | { kind: "ready"; user: User; access: Access }
  | Exclude<Answer<never>, { kind: "answered" }>;

/** What the calls of subscribers use. */
export interface GmailApiContext extends GrantContext {
  passThrough: PassThrough;
  pacing: Pacing;
  /** The refreshes under way in this instance, one for each user at most. */
  refreshes: Map<UserId, Promise<ReadyAccess>>;
}
