import { FailedCall, attempt, type Call } from "../domain/failure.ts";
import { Gaxios } from "gaxios";
import { type CryptoKey, type LocalJWKSet, createLocalJWKSet, errors } from "jose";
import * as z from "zod";
import { type Clock, later } from "../domain/clock.ts";
import type { Result } from "../domain/result.ts";
import type { GoogleEndpoints } from "./endpoints.ts";
import { classify } from "./classify.ts";

/** The issuer and the keys of security events, or why Google's documents could not be fetched. */
export interface RiscKeys {
  /** Returns the `iss` of genuine tokens. */
  findIssuer(): Promise<Result<string, FailedCall>>;
  /**
   * Returns the RS256 key of this id; `undefined` if Google's key set, fetched at most a minute ago,
   * has no such key.
   */
  findKey(keyId: string): Promise<Result<CryptoKey | undefined, FailedCall>>;
}

const FETCH_TIMEOUT_MS = 5_000;
/**
 * The maximum age of the documents: a key that Google withdraws is accepted no longer than this.
 */
const AGE_MS_MAX = 3_600_000;
/**
 * Between two fetches for unknown key ids: made-up ids cost one fetch a minute. Google publishes a
 * key long before it signs with it.
 */
const KEYS_COOL_DOWN_MS = 60_000;
/** Between two attempts while Google does not answer. */
const RETRY_MS = 5_000;

const WEB_ADDRESS = z.url({ protocol: /^https?$/ });
const CONFIGURATION = z.object({ issuer: WEB_ADDRESS, jwks_uri: WEB_ADDRESS });
const KEY_SET = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });

/**
 * Returns issuer and keys from Google's Cross-Account Protection configuration
 * (`/.well-known/risc-configuration`: `issuer`, `jwks_uri`). Both documents are cached in memory;
 * at most one fetch of each runs at a time, and there is a pause after a failed one.
 */
export function googleRiscKeys(endpoints: GoogleEndpoints, clock: Clock): RiscKeys {
  const http = new Gaxios({ retry: false, timeout: FETCH_TIMEOUT_MS, responseType: "json" });

  async function fetchJson<T>(call: Call, url: string, shape: z.ZodType<T>): Promise<T> {
    try {
      return shape.parse((await http.request({ url })).data);
    } catch (error) {
      throw new FailedCall(call, classify(call, error, clock.now()));
    }
  }

  const configuration = kept(clock, () =>
    fetchJson("risc.configuration", endpoints.riscConfiguration, CONFIGURATION),
  );
  const keySet = kept(clock, async () => {
    const { jwks_uri: url } = await configuration.notOlderThan(AGE_MS_MAX);
    return createLocalJWKSet(await fetchJson("jwks", url, KEY_SET));
  });

  return {
    findIssuer: () => attempt(async () => (await configuration.notOlderThan(AGE_MS_MAX)).issuer),

    findKey: (keyId) =>
      attempt(
        async () =>
          (await select(await keySet.notOlderThan(AGE_MS_MAX), keyId)) ??
          select(await keySet.notOlderThan(KEYS_COOL_DOWN_MS), keyId),
      ),
  };
}

interface Kept<T> {
  /**
   * Returns the cached value if it is recent enough, otherwise fetches it. Throws what fetching
   * throws.
   */
  notOlderThan(ageMs: number): Promise<T>;
}

function kept<T>(clock: Clock, fetchAnew: () => Promise<T>): Kept<T> {
  let last: { value: T; at: Date } | undefined;
  let failed: { error: unknown; at: Date } | undefined;
  let pending: Promise<T> | undefined;

  async function renew(): Promise<T> {
    const at = clock.now();
    try {
      last = { value: await fetchAnew(), at };
      return last.value;
    } catch (error) {
      failed = { error, at: clock.now() };
      throw error;
    } finally {
      pending = undefined;
    }
  }

  return {
    async notOlderThan(ageMs) {
      const now = clock.now();
      if (last !== undefined && now < later(last.at, ageMs)) return last.value;
      if (failed !== undefined && now < later(failed.at, RETRY_MS)) throw failed.error;
      pending ??= renew();
      return pending;
    },
  };
}

async function select(keys: LocalJWKSet, kid: string): Promise<CryptoKey | undefined> {
  try {
    return await keys({ alg: "RS256", kid });
  } catch (error) {
    // No key, several of one id, or not an RSA key of sufficient size.
    if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
    throw error;
  }
}
