import { type KeyObject, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import type { Signer } from "../gmail-emulator/signing.ts";

/** Google's signing key in the hands of a test, for tokens that Google itself would never sign. */
export interface OpenSigner extends Signer {
  readonly keyId: string;
  /** The public key in PEM. */
  readonly publicKey: string;
  /** A compact token with this header, signed all the same. An `undefined` member is left out. */
  compact(header: Record<string, unknown>, claims: unknown): string;
}

/** A signer with one key of its own. */
export function openSigner(keyId = "google-key-1"): OpenSigner {
  let present = makeKey(keyId);
  const published = [present];

  function compact(header: Record<string, unknown>, claims: unknown): string {
    const all = { alg: "RS256", kid: present.keyId, typ: "JWT", ...header };
    const input = `${encoded(all)}.${encoded(claims)}`;
    const signature = sign("RSA-SHA256", Buffer.from(input), present.privateKey);
    return `${input}.${signature.toString("base64url")}`;
  }

  return {
    keyId,
    publicKey: pemOf(present),
    compact,
    sign: (claims) => compact({}, claims),
    rotate() {
      present = makeKey(`${keyId}-${published.length + 1}`);
      published.push(present);
    },
    jwks: () => ({
      keys: published.map((key) => ({
        ...createPublicKey(key.privateKey).export({ format: "jwk" }),
        kid: key.keyId,
        alg: "RS256",
        use: "sig",
      })),
    }),
    pems: () => Object.fromEntries(published.map((key) => [key.keyId, pemOf(key)])),
  };
}

interface Key {
  keyId: string;
  privateKey: KeyObject;
}

function makeKey(keyId: string): Key {
  return { keyId, privateKey: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey };
}

function pemOf({ privateKey }: Key): string {
  return createPublicKey(privateKey).export({ format: "pem", type: "spki" }).toString();
}

/** A part of a compact token; a string is taken as it is. */
export function encoded(part: unknown): string {
  const text = typeof part === "string" ? part : JSON.stringify(part);
  return Buffer.from(text).toString("base64url");
}
