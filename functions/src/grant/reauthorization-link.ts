import * as z from "zod";
import { type Clock, later } from "../domain/clock.ts";
import type { User, UserId } from "../domain/user.ts";
import type { Envelope } from "../crypto/envelope.ts";

/** How long the link in a mail is valid. */
const LINK_AGE_MS_MAX = 7 * 24 * 3_600_000;

const CONTENT = z.object({
  userId: z.string().transform((id) => id as UserId),
  generation: z.int(),
  expiresAt: z.number(),
});

/** The links with which one person renews one grant. */
export interface ReauthorizationLinks {
  /**
   * Returns an absolute URL that is safe in a mail: it contains nothing readable, and no Google
   * secret.
   */
  to(user: User): string;
  /** Returns whom a link is for; `undefined` when it is invalid or has expired. */
  read(link: string): { userId: UserId; generation: number } | undefined;
}

/**
 * Returns sealed links, valid for 7 days and bound to the user and the grant's generation: using a
 * link makes a new generation, which ends the link.
 */
export function reauthorizationLinks(
  publicUrl: string,
  envelope: Envelope,
  clock: Clock,
): ReauthorizationLinks {
  return {
    to({ id, grant }) {
      const expiresAt = later(clock.now(), LINK_AGE_MS_MAX).getTime();
      const content = { userId: id, generation: grant.generation, expiresAt };
      return `${publicUrl}/reauthorize/${envelope.seal("reauthorization_link", content)}`;
    },
    read(link) {
      const content = envelope.open("reauthorization_link", link, CONTENT);
      if (content === undefined || content.expiresAt <= clock.now().getTime()) return undefined;
      return { userId: content.userId, generation: content.generation };
    },
  };
}
