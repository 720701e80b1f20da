import { EN } from "./en.ts";

/** What a language has to say: the compiler refuses one that lacks a sentence. */
export type Texts = typeof EN;

/** The errors that have a page of their own. */
export type PageError = keyof Texts["errors"];

/** Returns `text` if it is one of the errors that have a page, otherwise `undefined`. */
export function parsePageError(text: string): PageError | undefined {
  return Object.hasOwn(EN.errors, text) ? (text as PageError) : undefined;
}

/** Returns what a person can do about the end of access, if Google gave a reason that helps. */
export function adviceOn(reason: string, { reauthorize }: Texts): string | undefined {
  const advice: Readonly<Record<string, string>> = reauthorize.advice;
  return Object.hasOwn(advice, reason) ? advice[reason] : undefined;
}
