import { isDeepStrictEqual } from "node:util";
import { keyIdOf } from "../../../functions/src/crypto/sealing.ts";
import type { User } from "../../../functions/src/domain/user.ts";
import { type Progress, eachUser } from "../all-users.ts";
import type { ResealServices } from "./reseal.ts";

/** What the stored users need of the key ring. */
export interface KeyUsage {
  /** Sealed tokens that can be decrypted, by the id of their key. */
  keys: Map<string, number>;
  /** Sealed tokens that cannot be decrypted with this ring. */
  unreadable: number;
  /** Users whose refresh token does not match its digests: re-sealing renews them. */
  outdatedDigests: number;
  /** Documents that cannot be read as users; the log names them and their fields. */
  unreadableDocuments: number;
}

/** Decrypts everything that is stored, and returns which keys that took. Changes nothing. */
export async function findKeyUsage(
  { users, tokens }: ResealServices,
  onProgress: (progress: Progress) => void,
): Promise<KeyUsage> {
  const usage = { keys: new Map<string, number>(), unreadable: 0, outdatedDigests: 0 };
  const skipped = await eachUser(users, undefined, onProgress, count);
  return { ...usage, unreadableDocuments: skipped };

  function count({ id, grant }: User): void {
    const sealed = [
      ["refresh_token", grant.refreshToken],
      ["access_token", grant.accessToken],
    ] as const;
    for (const [purpose, value] of sealed) {
      if (value === undefined) continue;
      const token = tokens.open(id, purpose, value);
      const keyId = keyIdOf(value);
      if (token === undefined || keyId === undefined) {
        usage.unreadable += 1;
        continue;
      }
      usage.keys.set(keyId, (usage.keys.get(keyId) ?? 0) + 1);
      if (purpose === "access_token") continue;
      if (!isDeepStrictEqual(tokens.digests(token), grant.refreshTokenDigests)) {
        usage.outdatedDigests += 1;
      }
    }
  }
}
