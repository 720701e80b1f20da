import { type KeyRing, parseKeyRing } from "../grant/sealing.ts";
import { type Log, describeUnknown } from "../log.ts";

/** The keys cannot be used. The reason is in the log; nothing of the keys is here. */
export class KeysUnusable extends Error {
  override name = "KeysUnusable";
  readonly isLoggable = true;
}

/**
 * The key ring of `TOKEN_KEYS`, decrypted by Cloud KMS first (`Decrypt`) when a key is named. Once
 * for each instance: sealing and opening make no remote call.
 */
export async function unwrapKeyRing(
  { tokenKeys, kmsKey }: { tokenKeys: string; kmsKey?: string },
  log: Log,
): Promise<KeyRing> {
  const json = kmsKey === undefined ? tokenKeys : await decrypt(tokenKeys, kmsKey, log);
  const parsed = parseKeyRing(json);
  if (parsed.kind === "key_ring") return parsed.ring;
  log.alert("token_keys_unusable", "TOKEN_KEYS cannot be used", {
    problems: [...parsed.problems],
  });
  throw new KeysUnusable("TOKEN_KEYS cannot be used");
}

async function decrypt(tokenKeys: string, name: string, log: Log): Promise<string> {
  try {
    // Loaded only where it is used: it costs more than a hundred milliseconds of a cold start.
    const { KeyManagementServiceClient } = await import("@google-cloud/kms");
    const client = new KeyManagementServiceClient();
    const [{ plaintext }] = await client.decrypt({ name, ciphertext: tokenKeys });
    await client.close();
    return Buffer.from(plaintext ?? "").toString("utf8");
  } catch (error) {
    log.alert("token_keys_unusable", "Cloud KMS does not open TOKEN_KEYS", {
      error: describeUnknown(error),
    });
    throw new KeysUnusable("Cloud KMS does not open TOKEN_KEYS");
  }
}
