import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { protos } from "@google-cloud/kms";
import {
  Server,
  ServerCredentials,
  type UntypedServiceImplementation,
  type handleUnaryCall,
  status,
} from "@grpc/grpc-js";
import { crc32c } from "../../functions/src/google/crc32c.ts";

const { EncryptRequest, EncryptResponse, DecryptRequest, DecryptResponse } =
  protos.google.cloud.kms.v1;

/** The part of an answer that is spoilt on its way. */
export type Damage = "content" | "checksum" | "no_checksum" | "not_verified";

/**
 * Cloud KMS on loopback, over real gRPC: symmetric keys with versions that really encrypt, made on
 * first use. `KMS_EMULATOR_HOST` leads there.
 */
export interface KmsEmulator {
  /** `127.0.0.1:PORT`. */
  host: string;
  /** Calls answered so far, refused ones among them. */
  calls: { encrypt: number; decrypt: number };
  /** From now on every call fails with this gRPC status; `undefined` ends it. */
  failWith(code: status | undefined): void;
  /** From now on every answer is spoilt in this way; `undefined` ends it. */
  damage(damage: Damage | undefined): void;
  /** From now on calls wait; the function returned lets them go on. */
  hold(): () => void;
  /** What was encrypted so far with this key can no longer be decrypted; a new version is primary. */
  destroyVersion(keyName: string): void;
  close(): Promise<void>;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

export async function startKmsEmulator(): Promise<KmsEmulator> {
  /** Versions of each key; a destroyed one is `undefined`. */
  const keys = new Map<string, (Buffer | undefined)[]>();
  const calls = { encrypt: 0, decrypt: 0 };
  let failure: status | undefined;
  let spoilt: Damage | undefined;
  let held: Promise<void> = Promise.resolve();

  function versionsOf(name: string): (Buffer | undefined)[] {
    const versions = keys.get(name) ?? [randomBytes(32)];
    keys.set(name, versions);
    return versions;
  }

  function encrypt(name: string, plaintext: Uint8Array, context: Buffer): Buffer {
    const versions = versionsOf(name);
    const key = versions.at(-1);
    if (key === undefined) throw refusal(status.FAILED_PRECONDITION);
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(aadOf(name, context));
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return Buffer.concat([Buffer.of(versions.length), iv, ciphertext, cipher.getAuthTag()]);
  }

  function decrypt(name: string, sealed: Buffer, context: Buffer): Buffer {
    const versions = keys.get(name);
    if (versions === undefined) throw refusal(status.NOT_FOUND);
    const version = sealed[0] ?? 0;
    if (version < 1 || version > versions.length || sealed.length < 1 + IV_BYTES + TAG_BYTES) {
      throw refusal(status.INVALID_ARGUMENT);
    }
    const key = versions[version - 1];
    if (key === undefined) throw refusal(status.FAILED_PRECONDITION);
    const iv = sealed.subarray(1, 1 + IV_BYTES);
    const decipher = createDecipheriv("aes-256-gcm", key, iv).setAAD(aadOf(name, context));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    try {
      const ciphertext = sealed.subarray(1 + IV_BYTES, -TAG_BYTES);
      return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
    } catch {
      throw refusal(status.INVALID_ARGUMENT);
    }
  }

  /** Content and its checksum as they leave; a spoilt one still has the right length. */
  function outgoing(content: Buffer): { content: Buffer; checksum: { value: number } | null } {
    const value = crc32c(content);
    if (spoilt === "no_checksum") return { content, checksum: null };
    if (spoilt === "checksum") return { content, checksum: { value: value ^ 1 } };
    if (spoilt !== "content") return { content, checksum: { value } };
    const changed = Buffer.from(content);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    return { content: changed, checksum: { value } };
  }

  function method<Request, Response>(
    name: keyof typeof calls,
    respond: (request: Request) => Response,
  ): handleUnaryCall<Request, Response> {
    return async ({ request }, callback) => {
      calls[name] += 1;
      await held;
      try {
        if (failure !== undefined) throw refusal(failure);
        callback(null, respond(request));
      } catch (error) {
        callback(error as Error);
      }
    };
  }

  const server = new Server();
  server.addService(SERVICE, {
    encrypt: method("encrypt", (request: Encrypt) => {
      const { name, plaintext, plaintextCrc32c } = request;
      checkIncoming(plaintext, plaintextCrc32c);
      const { content, checksum } = outgoing(
        encrypt(name ?? "", bytes(plaintext), contextOf(request)),
      );
      return {
        name: `${name}/cryptoKeyVersions/${versionsOf(name ?? "").length}`,
        ciphertext: content,
        ciphertextCrc32c: checksum,
        verifiedPlaintextCrc32c:
          plaintextCrc32c !== null && plaintextCrc32c !== undefined && spoilt !== "not_verified",
        verifiedAdditionalAuthenticatedDataCrc32c: spoilt !== "not_verified",
      };
    }),
    decrypt: method("decrypt", (request: Decrypt) => {
      const { name, ciphertext, ciphertextCrc32c } = request;
      checkIncoming(ciphertext, ciphertextCrc32c);
      const { content, checksum } = outgoing(
        decrypt(name ?? "", bytes(ciphertext), contextOf(request)),
      );
      return { plaintext: content, plaintextCrc32c: checksum };
    }),
  } satisfies UntypedServiceImplementation);

  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });

  return {
    host: `127.0.0.1:${port}`,
    calls,
    failWith(code) {
      failure = code;
    },
    damage(damage) {
      spoilt = damage;
    },
    hold() {
      let release: (() => void) | undefined;
      held = new Promise((resolve) => {
        release = resolve;
      });
      return () => release?.();
    },
    destroyVersion(keyName) {
      const versions = versionsOf(keyName);
      versions[versions.length - 1] = undefined;
      versions.push(randomBytes(32));
    },
    close: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
      }),
  };
}

type Encrypt = protos.google.cloud.kms.v1.IEncryptRequest;
type Decrypt = protos.google.cloud.kms.v1.IDecryptRequest;
type Bytes = Uint8Array | string | null | undefined;

function bytes(content: Bytes): Buffer {
  return content instanceof Uint8Array ? Buffer.from(content) : Buffer.alloc(0);
}

/** Whatever the caller binds to, beside the key itself. */
function aadOf(name: string, context: Buffer): Buffer {
  return Buffer.concat([Buffer.from(name), Buffer.of(0), context]);
}

function contextOf(request: Encrypt | Decrypt): Buffer {
  const { additionalAuthenticatedData: context, additionalAuthenticatedDataCrc32c: checksum } =
    request;
  checkIncoming(context, checksum);
  return bytes(context);
}

/** As Cloud KMS does: what came in damaged is refused. */
function checkIncoming(content: Bytes, checksum: { value?: unknown } | null | undefined): void {
  if (!checksum || String(checksum.value) === String(crc32c(bytes(content)))) return;
  throw refusal(status.INVALID_ARGUMENT);
}

/** With prose that nobody should log. */
function refusal(code: status): Error {
  return Object.assign(new Error("KMS-PROSE-NOT-FOR-LOGS"), { code });
}

const SERVICE = {
  encrypt: rpc("Encrypt", EncryptRequest, EncryptResponse),
  decrypt: rpc("Decrypt", DecryptRequest, DecryptResponse),
};

interface Codec {
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

function rpc(name: string, request: Codec, response: Codec) {
  return {
    path: `/google.cloud.kms.v1.KeyManagementService/${name}`,
    requestStream: false as const,
    responseStream: false as const,
    requestSerialize: (message: object) => Buffer.from(request.encode(message).finish()),
    requestDeserialize: (encoded: Buffer) => request.decode(encoded),
    responseSerialize: (message: object) => Buffer.from(response.encode(message).finish()),
    responseDeserialize: (encoded: Buffer) => response.decode(encoded),
  };
}
