import { type Sealed } from "../domain/user.ts";
import type { z } from "zod";
import { type KeyRing, open, seal } from "./sealing.ts";

/** The purpose of a sealed value that the receiver hands out and gets back. */
export type EnvelopePurpose =
  | "authorization"
  | "session"
  | "reauthorization_link"
  | "rotated_token";

/**
 * Seals small values for a cookie or a link: unreadable, unforgeable, and useless for another
 * purpose. They do not expire by themselves, so the content has to say until when it is valid.
 */
export interface Envelope {
  seal(purpose: EnvelopePurpose, content: unknown): string;
  /** Returns `undefined` for anything that was not sealed for this purpose or has another shape. */
  open<T>(purpose: EnvelopePurpose, sealed: string, shape: z.ZodType<T>): T | undefined;
}

/** Longer than any sealed value; bounds the work for what strangers send. */
const SEALED_CHARS_MAX = 6_000;

/** Returns the sealer of the key ring. `randomBytes` makes the IVs. */
export function envelopes(ring: KeyRing, randomBytes: (size: number) => Uint8Array): Envelope {
  return {
    seal: (purpose, content) =>
      seal(ring, JSON.stringify(content), { userId: "", purpose }, randomBytes),

    open(purpose, sealed, shape) {
      if (sealed.length > SEALED_CHARS_MAX) return undefined;
      const opened = open(ring, sealed as Sealed, { userId: "", purpose });
      if (!opened.ok) return undefined;
      // Only the receiver can have sealed it, so it is JSON; an older version may have used another
      // shape.
      return shape.safeParse(JSON.parse(opened.value)).data;
    },
  };
}
