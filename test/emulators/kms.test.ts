import path from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RING_CONTEXT, cloudKeyManagement } from "../../functions/src/google/key-management.ts";
import { makeTokenKeys, requiredEnv } from "../local/environment.ts";
import { isHad } from "../support/emulator-source.ts";
import { type ServedFunction, findNode, serveFunction } from "./framework-cli.ts";
import { type KmsEmulator, startKmsEmulator } from "../support/kms-emulator.ts";

const SOURCE = path.resolve(import.meta.dirname, "../../functions/dist/gcloud");
const KEY = "projects/demo-project/locations/global/keyRings/ring/cryptoKeys/key";
const ARRIVAL = { timeout: 20_000, interval: 50 };

/** The built folder with a wrapped key ring: what it needs of Cloud KMS goes over real gRPC. */
describe.each([20, 24])("the gcloud folder with Cloud KMS, on Node %i", (major) => {
  const node = findNode(major);

  describe.skipIf(!isHad(node))("an instance", () => {
    let kms: KmsEmulator;
    let env: Record<string, string>;
    let served: ServedFunction | undefined;

    beforeEach(async () => {
      kms = await startKmsEmulator();
      const wrapped = await cloudKeyManagement(kms.host).encrypt(
        KEY,
        Buffer.from(makeTokenKeys()),
        RING_CONTEXT,
      );
      env = {
        ...requiredEnv(),
        TOKEN_KEYS: wrapped.toString("base64"),
        TOKEN_KEYS_KMS_KEY: KEY,
        KMS_EMULATOR_HOST: kms.host,
        FIRESTORE_EMULATOR_HOST: "127.0.0.1:1",
        PUBSUB_EMULATOR_HOST: "127.0.0.1:1",
      };
    });
    afterEach(async () => {
      await served?.stop();
      served = undefined;
      await kms.close();
    });

    async function serve(own: Record<string, string> = env): Promise<ServedFunction> {
      if (node.kind === "missing") throw new Error(node.why);
      served = await serveFunction({
        node: node.path,
        source: SOURCE,
        target: "connect",
        env: own,
      });
      return served;
    }

    /** Requests that all come before KMS has answered the first one. */
    async function requestTogether(url: string, count: number): Promise<number[]> {
      const release = kms.hold();
      const requests = Array.from({ length: count }, () => fetch(url));
      await vi.waitFor(() => expect(kms.calls.decrypt).toBe(1), ARRIVAL);
      // The framework answers this path itself, after what came before it.
      await fetch(`${url}/robots.txt`);
      release();
      return (await Promise.all(requests)).map((response) => response.status);
    }

    it("decrypts the key ring once, however many requests come first", async () => {
      const { url, records } = await serve();
      expect(await requestTogether(url, 12)).toEqual(Array(12).fill(200));
      expect((await fetch(url)).status).toBe(200);
      expect(kms.calls.decrypt).toBe(1);
      expect(records("token_keys_invalid")).toEqual([]);
    });

    it.each([
      [status.PERMISSION_DENIED, "misconfigured"],
      [status.UNAVAILABLE, "transient"],
    ] as const)(
      "answers 500 with one alert while KMS answers %i, rests, and starts after that",
      async (code, failure) => {
        const { url, records, output } = await serve();
        kms.failWith(code);
        expect(await requestTogether(url, 5)).toEqual(Array(5).fill(500));
        await vi.waitFor(
          () =>
            expect(records("token_keys_invalid")).toMatchObject([
              { severity: "CRITICAL", failure, reason: expect.stringMatching(/^[A-Z_]+$/) },
            ]),
          ARRIVAL,
        );
        // Until the failed start has rested, a request costs neither a call nor an alert.
        const { decrypt } = kms.calls;
        for (let n = 0; n < 20; n++) expect((await fetch(url)).status).toBe(500);
        expect(kms.calls.decrypt).toBe(decrypt);
        expect(records("token_keys_invalid")).toHaveLength(1);
        kms.failWith(undefined);
        await vi.waitFor(async () => expect((await fetch(url)).status).toBe(200), ARRIVAL);
        expect(output()).not.toContain("PROSE");
      },
    );

    it("does not start if the key's version is destroyed", async () => {
      kms.destroyVersion(KEY);
      const { url, records } = await serve();
      expect((await fetch(url)).status).toBe(500);
      await vi.waitFor(
        () =>
          expect(records("token_keys_invalid")).toMatchObject([{ reason: "FAILED_PRECONDITION" }]),
        ARRIVAL,
      );
    });

    it("sends the encrypted ring only to an emulator on loopback", async () => {
      const { url, records } = await serve({ ...env, KMS_EMULATOR_HOST: "kms.example.com:443" });
      expect((await fetch(url)).status).toBe(500);
      await vi.waitFor(
        () =>
          expect(records("config_invalid")).toMatchObject([
            { problems: ["KMS_EMULATOR_HOST must be host:port on loopback"] },
          ]),
        ARRIVAL,
      );
      expect(kms.calls.decrypt).toBe(0);
    });
  });
});
