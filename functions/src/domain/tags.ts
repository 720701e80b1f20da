import * as z from "zod";

const TAGS_MAX = 10;
const TAG_VALUE_CHARS_MAX = 128;

/**
 * Returns the schema of a text of printable characters, at most `max`, that can be stored, returned
 * and published unchanged.
 */
export const printable = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u);

/** What an application says about a connection: at most 10 short texts, each under a short name. */
export const TAGS = z
  .record(z.string().regex(/^[a-z0-9-]{1,32}$/), printable(TAG_VALUE_CHARS_MAX))
  .refine((tags) => Object.keys(tags).length <= TAGS_MAX);

/** Returns stored tags; `undefined` for anything else. */
export function parseTags(value: unknown): Readonly<Record<string, string>> | undefined {
  return TAGS.safeParse(value).data;
}
