import { type KeyRing, parseKeyRing } from "../crypto/sealing.ts";
import { type Log, type Loggable, describeUnknown } from "../platform/log.ts";
import { crc32c } from "./crc32c.ts";

/**
 * Cloud KMS, as far as a key ring needs it. CRC32C checksums protect requests and responses. Each
 * method throws {@link KeyManagementFailure} and nothing else.
 */
export interface KeyManagement {
  /** `Encrypt`, with the primary version of the key, bound to `context`. At most 64 KiB. */
  encrypt(keyName: string, plaintext: Uint8Array, context: string): Promise<Buffer>;
  /** `Decrypt`, for the same `context`. The version is the one that encrypted, if it is enabled. */
  decrypt(keyName: string, ciphertext: Uint8Array, context: string): Promise<Buffer>;
}

/** Thrown when Cloud KMS did not do it. Contains nothing of the request. */
export class KeyManagementFailure extends Error implements Loggable {
  override name = "KeyManagementFailure";
  readonly isLoggable = true;
  /** The name of a gRPC status, or what was wrong with a response. */
  readonly reason: string;
  readonly kind: "misconfigured" | "transient";

  constructor(reason: string, kind: KeyManagementFailure["kind"]) {
    super(`Cloud KMS failed: ${reason}`);
    this.reason = reason;
    this.kind = kind;
  }
}

/**
 * Thrown when the keys cannot be used. The log has the reason; this contains nothing of the keys.
 */
export class KeysUnusable extends Error implements Loggable {
  override name = "KeysUnusable";
  readonly isLoggable = true;
}

/**
 * The additional authenticated data of an encrypted ring: other content that the same Cloud KMS key
 * encrypted is not a ring. Rings that were encrypted before this existed have none.
 */
export const RING_CONTEXT = "gmail-push-receiver/token-keys";
const NO_CONTEXT = "";

/**
 * Returns the key ring of `TOKEN_KEYS`, decrypted by Cloud KMS if a key is named. Once per
 * instance: sealing and opening make no remote call. Any failure raises one alert and throws {@link
 * KeysUnusable}, which is never the user's fault: the caller retries.
 */
export async function unwrapKeyRing(
  { tokenKeys, kmsKey }: { tokenKeys: string; kmsKey?: string },
  keyManagement: KeyManagement,
  log: Log,
): Promise<KeyRing> {
  const json = kmsKey === undefined ? tokenKeys : await unwrap(tokenKeys, kmsKey);
  const parsed = parseKeyRing(json);
  if (parsed.ok) return parsed.value;
  log.alert("token_keys_invalid", "TOKEN_KEYS is not a valid key ring", {
    problems: [...parsed.error],
  });
  throw new KeysUnusable("TOKEN_KEYS is not a valid key ring");

  async function unwrap(wrapped: string, keyName: string): Promise<string> {
    try {
      return await decryptRing(keyName, wrapped, keyManagement);
    } catch (error) {
      const failure = error instanceof KeyManagementFailure ? error : undefined;
      log.alert("token_keys_invalid", "Cloud KMS could not decrypt TOKEN_KEYS", {
        failure: failure?.kind,
        reason: failure?.reason ?? describeUnknown(error),
      });
      throw new KeysUnusable("Cloud KMS could not decrypt TOKEN_KEYS");
    }
  }
}

/** Decrypts a ring that was encrypted for {@link RING_CONTEXT}, or before rings had a context. */
export async function decryptRing(
  keyName: string,
  wrapped: string,
  keyManagement: KeyManagement,
): Promise<string> {
  const ciphertext = Buffer.from(wrapped, "base64");
  const decrypt = async (context: string) =>
    (await keyManagement.decrypt(keyName, ciphertext, context)).toString("utf8");
  try {
    return await decrypt(RING_CONTEXT);
  } catch (error) {
    // The response of Cloud KMS for another context.
    const isRefused = error instanceof KeyManagementFailure && error.reason === "INVALID_ARGUMENT";
    if (!isRefused) throw error;
    return decrypt(NO_CONTEXT);
  }
}

/**
 * One attempt, and all attempts together: a cold start waits for them, and its request is retried.
 */
const TRY_TIMEOUT_MS = 3_000;
const TIMEOUT_MS = 6_000;

/**
 * Returns Google's Cloud KMS, or an emulator on loopback (`host:port`) without TLS and credentials.
 * The client is loaded for a call and closed after it: there is one call per instance.
 */
export function cloudKeyManagement(emulatorHost?: string, timeoutMs = TIMEOUT_MS): KeyManagement {
  const options = {
    retry: {
      retryCodes: [4 /* DEADLINE_EXCEEDED */, 14 /* UNAVAILABLE */],
      backoffSettings: {
        initialRetryDelayMillis: 200,
        retryDelayMultiplier: 2,
        maxRetryDelayMillis: 1_000,
        initialRpcTimeoutMillis: TRY_TIMEOUT_MS,
        rpcTimeoutMultiplier: 1,
        maxRpcTimeoutMillis: TRY_TIMEOUT_MS,
        totalTimeoutMillis: timeoutMs,
      },
    },
  };

  return {
    async encrypt(name, plaintext, context) {
      const plaintextCrc32c = { value: crc32c(plaintext) };
      const answer = await call(emulatorHost, async (client) => {
        const [it] = await client.encrypt(
          { name, plaintext, plaintextCrc32c, ...boundTo(context) },
          options,
        );
        return it;
      });
      const isVerified =
        answer.verifiedPlaintextCrc32c === true &&
        (context === NO_CONTEXT || answer.verifiedAdditionalAuthenticatedDataCrc32c === true);
      if (!isVerified) throw damaged("request_not_verified");
      return intact(answer.ciphertext, answer.ciphertextCrc32c);
    },

    async decrypt(name, ciphertext, context) {
      const ciphertextCrc32c = { value: crc32c(ciphertext) };
      const answer = await call(emulatorHost, async (client) => {
        const [it] = await client.decrypt(
          { name, ciphertext, ciphertextCrc32c, ...boundTo(context) },
          options,
        );
        return it;
      });
      return intact(answer.plaintext, answer.plaintextCrc32c);
    },
  };
}

function boundTo(context: string) {
  const additionalAuthenticatedData = Buffer.from(context);
  return {
    additionalAuthenticatedData,
    additionalAuthenticatedDataCrc32c: { value: crc32c(additionalAuthenticatedData) },
  };
}

type Client = Awaited<ReturnType<typeof openClient>>;

async function call<T>(
  emulatorHost: string | undefined,
  request: (client: Client) => Promise<T>,
): Promise<T> {
  let client: Client | undefined;
  try {
    client = await openClient(emulatorHost);
    return await request(client);
  } catch (error) {
    throw classify(error);
  } finally {
    await client?.close();
  }
}

/** Loaded only when needed: it costs more than a hundred milliseconds of a cold start. */
async function openClient(emulatorHost: string | undefined) {
  const { KeyManagementServiceClient } = await import("@google-cloud/kms");
  if (emulatorHost === undefined) return new KeyManagementServiceClient();
  const { credentials } = await import("@grpc/grpc-js");
  const { hostname, port } = new URL(`http://${emulatorHost}`);
  return new KeyManagementServiceClient({
    apiEndpoint: hostname,
    port: Number(port || "80"),
    sslCreds: credentials.createInsecure(),
  });
}

/** gRPC statuses of a configuration error: nothing changes until an operator fixes it. */
const MISCONFIGURED: Readonly<Record<number, string>> = {
  3: "INVALID_ARGUMENT",
  5: "NOT_FOUND",
  7: "PERMISSION_DENIED",
  // The key version that encrypted is disabled or destroyed.
  9: "FAILED_PRECONDITION",
  16: "UNAUTHENTICATED",
};
const TRANSIENT: Readonly<Record<number, string>> = {
  4: "DEADLINE_EXCEEDED",
  8: "RESOURCE_EXHAUSTED",
  13: "INTERNAL",
  14: "UNAVAILABLE",
};

function classify(error: unknown): KeyManagementFailure {
  const code = Number((error as { code?: unknown } | null)?.code);
  const misconfigured = MISCONFIGURED[code];
  return misconfigured === undefined
    ? new KeyManagementFailure(TRANSIENT[code] ?? describeUnknown(error), "transient")
    : new KeyManagementFailure(misconfigured, "misconfigured");
}

function damaged(reason: string): KeyManagementFailure {
  return new KeyManagementFailure(reason, "transient");
}

/**
 * Returns the content of a response if its checksum matches; a response without one is rejected.
 */
function intact(
  content: Uint8Array | string | null | undefined,
  checksum: { value?: unknown } | null | undefined,
): Buffer {
  if (!(content instanceof Uint8Array)) throw damaged("answer_empty");
  // An int64, which the client returns as text.
  if (String(checksum?.value) !== String(crc32c(content))) throw damaged("answer_damaged");
  return Buffer.from(content);
}
