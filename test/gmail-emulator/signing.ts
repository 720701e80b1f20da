import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
} from "node:crypto";

/** Google's signing keys. A simulation may pass a cheaper one. */
export interface Signer {
  /** A compact RS256 JWT of these claims. */
  sign(claims: Record<string, unknown>): string;
  /** A new key signs from now on; the one before it is still published. */
  rotate(): void;
  /** RFC 7517 JWK set. */
  jwks(): { keys: Record<string, unknown>[] };
  /** Public keys in PEM by key id. Google publishes certificates here. */
  pems(): Record<string, string>;
}

interface SigningKey {
  kid: string;
  privateKey: KeyObject;
}

/** Google publishes the present key and the one before. */
const PUBLISHED_KEYS_MAX = 2;

/** Shared by every emulator of a process, since making a key takes longer than most tests. */
let firstKey: SigningKey | undefined;

/** Keys are made at first use: a run that never signs never pays for one. */
export function createSigner(): Signer {
  let keys: SigningKey[] = [];

  const published = () => {
    firstKey ??= makeKey();
    if (keys.length === 0) keys = [firstKey];
    return keys;
  };
  const rotate = () => {
    keys = [makeKey(), ...published()].slice(0, PUBLISHED_KEYS_MAX);
  };

  return {
    rotate,
    sign(claims) {
      const [key] = published();
      if (key === undefined) throw new Error("no signing key");
      const header = { alg: "RS256", kid: key.kid, typ: "JWT" };
      const input = `${encodePart(header)}.${encodePart(claims)}`;
      const signature = sign("RSA-SHA256", Buffer.from(input), key.privateKey);
      return `${input}.${signature.toString("base64url")}`;
    },
    jwks: () => ({
      keys: published().map(({ kid, privateKey }) => ({
        ...createPublicKey(privateKey).export({ format: "jwk" }),
        kid,
        alg: "RS256",
        use: "sig",
      })),
    }),
    pems: () =>
      Object.fromEntries(
        published().map(({ kid, privateKey }) => [
          kid,
          createPublicKey(privateKey).export({ format: "pem", type: "spki" }).toString(),
        ]),
      ),
  };
}

function makeKey(): SigningKey {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { kid: randomUUID(), privateKey };
}

function encodePart(part: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
