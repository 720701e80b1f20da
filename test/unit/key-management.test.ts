import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { crc32c } from "../../functions/src/google/crc32c.ts";
import {
  type KeyManagement,
  RING_CONTEXT,
  cloudKeyManagement,
  unwrapKeyRing,
} from "../../functions/src/google/key-management.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { type Damage, type KmsEmulator, startKmsEmulator } from "../support/kms-emulator.ts";

/**
 * Goal: the key ring that Cloud KMS gives back is the one that was given to it, or there is none;
 * and a failure is logged once at CRITICAL, without a word of the response.
 */

const KEY = "projects/demo-project/locations/global/keyRings/ring/cryptoKeys/key";
const SECRET = Buffer.alloc(32, 7).toString("base64");
const RING = JSON.stringify({ primary: "2026-11", keys: { "2026-11": SECRET } });

// The client looks for a metadata server even when it needs no credentials.
beforeAll(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));
afterAll(() => void vi.unstubAllEnvs());

describe("CRC-32C", () => {
  it.each([
    // RFC 3720 appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    [Buffer.from("123456789"), 0xe3069283],
    [Buffer.alloc(0), 0],
  ])("of %j", (bytes, checksum) => {
    expect(crc32c(bytes)).toBe(checksum);
  });
});

describe("a key ring wrapped by Cloud KMS", () => {
  let kms: KmsEmulator;
  let keyManagement: KeyManagement;
  let lines: string[];
  let wrapped: string;

  beforeEach(async () => {
    kms = await startKmsEmulator();
    keyManagement = cloudKeyManagement(kms.host);
    lines = [];
    wrapped = (await keyManagement.encrypt(KEY, Buffer.from(RING), RING_CONTEXT)).toString(
      "base64",
    );
  });
  afterEach(() => kms.close());

  const unwrap = (kmsKey = KEY, tokenKeys = wrapped) =>
    unwrapKeyRing(
      { tokenKeys, kmsKey },
      keyManagement,
      createLog((line) => void lines.push(line)),
    );

  /** The one line, if it is an alert, and nothing in it is a secret or Google's prose. */
  async function refusedWith(kmsKey?: string, tokenKeys?: string) {
    await expect(unwrap(kmsKey, tokenKeys)).rejects.toThrow(/TOKEN_KEYS/);
    expect(lines).toHaveLength(1);
    for (const part of [SECRET.slice(0, 12), wrapped.slice(0, 24), "PROSE"]) {
      expect(lines.join()).not.toContain(part);
    }
    const record = JSON.parse(lines.pop() ?? "");
    expect(record).toMatchObject({ severity: "CRITICAL", event: "token_keys_invalid" });
    return record;
  }

  it("is decrypted in one call", async () => {
    expect(Buffer.from(wrapped, "base64").includes(SECRET)).toBe(false);
    const ring = await unwrap();
    expect(ring.primary).toBe("2026-11");
    expect(ring.keys.get("2026-11")?.export().toString("base64")).toBe(SECRET);
    expect(kms.calls).toEqual({ encrypt: 1, decrypt: 1 });
    expect(lines).toEqual([]);
  });

  it("is decrypted although it was encrypted before rings had a context", async () => {
    wrapped = (await keyManagement.encrypt(KEY, Buffer.from(RING), "")).toString("base64");
    expect((await unwrap()).primary).toBe("2026-11");
    expect(lines).toEqual([]);
  });

  it("is not decrypted if the same key encrypted it for another purpose", async () => {
    const other = await keyManagement.encrypt(KEY, Buffer.from(RING), "another/purpose");
    const record = await refusedWith(KEY, other.toString("base64"));
    expect(record).toMatchObject({ failure: "misconfigured", reason: "INVALID_ARGUMENT" });
  });

  it.each([
    [status.PERMISSION_DENIED, "PERMISSION_DENIED", 1],
    [status.NOT_FOUND, "NOT_FOUND", 1],
    [status.UNAUTHENTICATED, "UNAUTHENTICATED", 1],
    // Asked once more, as for a ring that was wrapped without a context.
    [status.INVALID_ARGUMENT, "INVALID_ARGUMENT", 2],
  ])(
    "is not, when KMS answers %i: ours to fix, so not tried again",
    async (code, reason, calls) => {
      kms.failWith(code);
      expect(await refusedWith()).toMatchObject({ failure: "misconfigured", reason });
      expect(kms.calls.decrypt).toBe(calls);
      kms.failWith(undefined);
      expect((await unwrap()).primary).toBe("2026-11");
    },
  );

  it("is not decrypted while KMS is down, and fails after seconds of retries", async () => {
    kms.failWith(status.UNAVAILABLE);
    const started = Date.now();
    const record = await refusedWith();
    expect(record["failure"]).toBe("transient");
    expect(record["reason"]).toMatch(/^(UNAVAILABLE|DEADLINE_EXCEEDED)$/);
    expect(kms.calls.decrypt).toBeGreaterThan(2);
    expect(Date.now() - started).toBeLessThan(12_000);
  }, 30_000);

  it("is decrypted when KMS comes back during the retries", async () => {
    kms.failWith(status.UNAVAILABLE);
    const unwrapped = unwrap();
    while (kms.calls.decrypt === 0) await new Promise((resolve) => void setImmediate(resolve));
    kms.failWith(undefined);
    expect((await unwrapped).primary).toBe("2026-11");
    expect(lines).toEqual([]);
  });

  it("is not decrypted when KMS is unreachable", async () => {
    await kms.close();
    keyManagement = cloudKeyManagement(kms.host, 1_000);
    expect(await refusedWith()).toMatchObject({ failure: "transient" });
    kms = await startKmsEmulator();
  }, 30_000);

  it.each(["content", "checksum", "no_checksum"] satisfies Damage[])(
    "is not taken when the answer's %s is wrong",
    async (damage) => {
      kms.damage(damage);
      expect(await refusedWith()).toMatchObject({ failure: "transient", reason: "answer_damaged" });
    },
  );

  it("is not decrypted once its key version is destroyed, and is after a new encryption", async () => {
    kms.destroyVersion(KEY);
    const record = await refusedWith();
    expect(record).toMatchObject({ failure: "misconfigured", reason: "FAILED_PRECONDITION" });
    wrapped = (await keyManagement.encrypt(KEY, Buffer.from(RING), RING_CONTEXT)).toString(
      "base64",
    );
    expect((await unwrap()).primary).toBe("2026-11");
  });

  it("is not decrypted with another key, or after a byte was changed", async () => {
    expect(await refusedWith(`${KEY}2`)).toMatchObject({ reason: "NOT_FOUND" });
    const changed = Buffer.from(wrapped, "base64");
    changed[20] = (changed[20] ?? 0) ^ 1;
    const record = await refusedWith(KEY, changed.toString("base64"));
    expect(record).toMatchObject({ reason: "INVALID_ARGUMENT" });
  });

  it("is rejected if the content is not a key ring, without revealing it", async () => {
    const other = await keyManagement.encrypt(KEY, Buffer.from(SECRET), RING_CONTEXT);
    const record = await refusedWith(KEY, other.toString("base64"));
    expect(record["problems"]).toEqual(["is not a JSON object"]);
  });

  it.each(["content", "checksum", "no_checksum", "not_verified"] satisfies Damage[])(
    "is not wrapped when the answer's %s is wrong",
    async (damage) => {
      kms.damage(damage);
      await expect(keyManagement.encrypt(KEY, Buffer.from(RING), RING_CONTEXT)).rejects.toThrow(
        damage === "not_verified" ? "request_not_verified" : "answer_damaged",
      );
    },
  );
});

describe("a key ring in clear", () => {
  it("needs no KMS", async () => {
    const nobody = cloudKeyManagement("127.0.0.1:1");
    const log = createLog(() => {});
    expect((await unwrapKeyRing({ tokenKeys: RING }, nobody, log)).primary).toBe("2026-11");
  });
});
