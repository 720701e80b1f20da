import { z } from "zod";
import { type Clock, later } from "../domain/clock.ts";
import type { User, UserId } from "../domain/user.ts";
import type { Envelope } from "../crypto/envelope.ts";

/** How long a person may take to follow the link in a mail. */
const LINK_AGE_MS_MAX = 7 * 24 * 3_600_000;

const CONTENT = z.object({
  userId: z.string().transform((id) => id as UserId),
  generation: z.int(),
  expiresAt: z.number(),
});

/** The links that let one person renew one grant. */
export interface ReauthorizationLinks {
  /** An absolute URL, safe in a mail: nothing readable in it, and no secret of Google's. */
  to(user: User): string;
  /** Whom a link is for; `undefined` when it is not ours or has expired. */
  read(link: string): { userId: UserId; generation: number } | undefined;
}

/**
 * Sealed links, valid 7 days and bound to the user and the grant's generation: a link dies when it
 * is used, because using it makes a new generation.
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
