import { decodeJwt, decodeProtectedHeader } from "jose";
import * as z from "zod";
import { type Result, err, ok } from "../domain/result.ts";
import type { Refusal } from "./refusal.ts";

/** A parsed token. Nothing in it can be trusted before its signature is verified. */
export interface ParsedToken {
  compact: string;
  header: { alg: string; kid?: string | undefined };
  claims: Readonly<Record<string, unknown>>;
}

/** The `typ` of security event tokens; any other token is meant for something else. */
const TYPES = new Set(["jwt", "secevent+jwt", "application/secevent+jwt"]);

/** `jku`, `x5u`, `jwk` and the like are ignored: keys come only from Google's key set. */
const HEADER = z.object({
  alg: z.string(),
  kid: z.string().optional(),
  typ: z.string().optional(),
  crit: z.unknown().optional(),
});

/** Parses the body of a delivery (RFC 8935 §2: the token itself). Pure. */
export function parseToken(body: string): Result<ParsedToken, Refusal> {
  const compact = body.trim();
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(compact)) return malformed("token");
  const header = HEADER.safeParse(decoded(() => decodeProtectedHeader(compact))).data;
  if (header === undefined) return malformed("header");
  const claims = decoded(() => decodeJwt<Record<string, unknown>>(compact));
  if (claims === undefined) return malformed("claims");

  const { alg, kid, typ, crit } = header;
  if (typ !== undefined && !TYPES.has(typ.toLowerCase())) {
    return err({ kind: "type_unsupported", typ });
  }
  if (crit !== undefined) return err({ kind: "extension_unsupported" });
  return ok({ compact, header: { alg, kid }, claims });
}

/**
 * Returns why a token is not from this issuer for one of our clients; `undefined` if it is. Checked
 * first, so that a stranger's tokens cause no search for a key. Pure.
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

/** Returns whether this is the issuer, which Google writes with and without a trailing slash. */
export function isIssuer(given: unknown, issuer: string): boolean {
  const slash = /\/$/;
  return typeof given === "string" && given.replace(slash, "") === issuer.replace(slash, "");
}

/**
 * Returns the id of the key that the token names. RS256 is the only algorithm that Google uses.
 * Pure.
 */
export function keyIdOf({ header: { alg, kid } }: ParsedToken): Result<string, Refusal> {
  if (alg !== "RS256") return err({ kind: "algorithm_refused", alg });
  return kid === undefined ? err({ kind: "key_missing" }) : ok(kid);
}

function malformed(part: (Refusal & { kind: "malformed" })["part"]): Result<never, Refusal> {
  return err({ kind: "malformed", part });
}

/** jose's own messages may quote the token. */
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
