import { type Sealed } from "../domain/user.ts";
import type { z } from "zod";
import { type KeyRing, open, seal } from "./sealing.ts";

/** What a sealed value that leaves us and comes back is for. */
export type EnvelopePurpose = "authorization" | "session" | "reauthorization_link";

/**
 * Small values that a browser or a mail carries for us: unreadable, unforgeable, and of no use for
 * another purpose. They say nothing about their age; what is inside must.
 */
export interface Envelope {
  seal(purpose: EnvelopePurpose, content: unknown): string;
  /** `undefined` for anything that we did not seal for this purpose or that has another shape. */
  open<T>(purpose: EnvelopePurpose, sealed: string, shape: z.ZodType<T>): T | undefined;
}

/** Longer than anything we seal; bounds the work on what strangers send. */
const SEALED_CHARS_MAX = 6_000;

export function envelopes(ring: KeyRing, randomBytes: (size: number) => Uint8Array): Envelope {
  return {
    seal: (purpose, content) =>
      seal(ring, JSON.stringify(content), { userId: "", purpose }, randomBytes),

    open(purpose, sealed, shape) {
      if (sealed.length > SEALED_CHARS_MAX) return undefined;
      const opened = open(ring, sealed as Sealed, { userId: "", purpose });
      if (opened.kind !== "opened") return undefined;
      // Only we can have sealed it, so it is JSON; an older deploy may have had another shape.
      return shape.safeParse(JSON.parse(opened.plaintext)).data;
    },
  };
}
