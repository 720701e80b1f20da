import { decodeJwt, decodeProtectedHeader } from "jose";
import { z } from "zod";
import type { Refusal } from "./refusal.ts";

/** A token taken apart. Nothing in it is true before its signature has been verified. */
export interface ParsedToken {
  compact: string;
  header: { alg: string; kid?: string | undefined };
  claims: Readonly<Record<string, unknown>>;
}

export type Parsed = { kind: "parsed"; token: ParsedToken } | { kind: "refused"; refusal: Refusal };

/** What tokens that we know of are called, or else could only be meant for something else. */
const TYPES = new Set(["jwt", "secevent+jwt", "application/secevent+jwt"]);

/** `jku`, `x5u`, `jwk` and the like are not even read: keys come from Google's key set alone. */
const HEADER = z.object({
  alg: z.string(),
  kid: z.string().optional(),
  typ: z.string().optional(),
  crit: z.unknown().optional(),
});

/** Takes the body of a delivery apart (RFC 8935 §2: the token itself). Pure. */
export function parseToken(body: string): Parsed {
  const compact = body.trim();
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(compact)) return malformed("token");
  const header = HEADER.safeParse(decoded(() => decodeProtectedHeader(compact))).data;
  if (header === undefined) return malformed("header");
  const claims = decoded(() => decodeJwt<Record<string, unknown>>(compact));
  if (claims === undefined) return malformed("claims");

  const { alg, kid, typ, crit } = header;
  if (typ !== undefined && !TYPES.has(typ.toLowerCase())) {
    return { kind: "refused", refusal: { kind: "type_unsupported", typ } };
  }
  if (crit !== undefined) return { kind: "refused", refusal: { kind: "extension_unsupported" } };
  return { kind: "parsed", token: { compact, header: { alg, kid }, claims } };
}

/**
 * Whether a token that says so would be one for us: from this issuer, and for one of our clients.
 * Asked first, so that a stranger's tokens do not even get a key looked up. Pure.
 */
export function findDistrust(
  { claims }: ParsedToken,
  issuer: string,
  clientIds: readonly string[],
): Refusal | undefined {
  const { iss, aud } = claims;
  if (!isIssuer(iss, issuer)) return { kind: "issuer_wrong", iss: text(iss) };
  const audience: unknown[] = Array.isArray(aud) ? aud : [aud];
  const isOurs = audience.some((each) => typeof each === "string" && clientIds.includes(each));
  return isOurs ? undefined : { kind: "audience_wrong", aud: audience.map(text).join(" ") };
}

/** Google writes its issuer both with and without the slash at the end; nothing else is the same. */
export function isIssuer(given: unknown, issuer: string): boolean {
  const slash = /\/$/;
  return typeof given === "string" && given.replace(slash, "") === issuer.replace(slash, "");
}

/** The key that the token says it was signed with. RS256 is all that Google signs with. Pure. */
export function keyIdOf({
  header: { alg, kid },
}: ParsedToken): { kind: "key_id"; keyId: string } | { kind: "refused"; refusal: Refusal } {
  if (alg !== "RS256") return { kind: "refused", refusal: { kind: "algorithm_refused", alg } };
  if (kid === undefined) return { kind: "refused", refusal: { kind: "key_missing" } };
  return { kind: "key_id", keyId: kid };
}

function malformed(part: (Refusal & { kind: "malformed" })["part"]): Parsed {
  return { kind: "refused", refusal: { kind: "malformed", part } };
}

/** jose's own messages may quote what it was given. */
function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value;
}
