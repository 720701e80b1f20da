import { DE } from "./de.ts";
import { EN } from "./en.ts";
import { PT } from "./pt.ts";
import type { Texts } from "./texts.ts";

/** The languages that the receiver speaks, by primary tag (RFC 5646 §2.2.1). English is the default. */
export const LANGUAGES: Readonly<Record<string, Texts>> = { en: EN, de: DE, pt: PT };

/** Browsers send fewer. The rest of a longer list is ignored. */
const RANGES_MAX = 20;

/**
 * Returns the texts in the language that the person prefers (RFC 9110 §12.5.4), by the lookup of
 * RFC 4647 §3.4: `de-AT` is answered in German. `*`, and a header that names no language of the
 * receiver, means English.
 */
export function textsFor(acceptLanguage: string | null): Texts {
  const ranges = (acceptLanguage ?? "").split(",", RANGES_MAX).map(parseRange);
  const refused = new Set(ranges.filter(({ quality }) => quality <= 0).map(({ tag }) => tag));
  const preferred = ranges
    .filter(({ quality }) => quality > 0)
    .toSorted((one, other) => other.quality - one.quality);
  for (const { tag } of preferred) {
    if (tag === "*") return EN;
    const primary = tag.split("-", 1)[0] ?? "";
    if (Object.hasOwn(LANGUAGES, primary) && !refused.has(primary)) return LANGUAGES[primary] ?? EN;
  }
  return EN;
}

function parseRange(range: string): { tag: string; quality: number } {
  const [tag = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith("q="));
  const quality = weight === undefined ? 1 : Number(weight.slice("q=".length));
  // What is no number counts as refused.
  return { tag, quality: Number.isNaN(quality) ? 0 : Math.min(quality, 1) };
}
