import { isIP } from "node:net";
import type { Clock } from "../domain/clock.ts";

/** How often something may happen. */
export interface Rate {
  perMinute: number;
  /** What a full bucket holds, in minutes of the rate: {@link BURST_MINUTES} unless given. */
  burstMinutes?: number;
}

/** Token buckets, one for each key. */
export interface RateLimit {
  /** Takes that many, or one, from the key's bucket; false when it holds fewer. */
  take(key?: string, count?: number): boolean;
  /** Gives back what was taken for nothing. */
  giveBack(key?: string, count?: number): void;
}

/**
 * The maximum number of buckets. The least recently used one is dropped, and is full when its key
 * returns: the limits without a key stop clients with more addresses than this.
 */
const KEYS_MAX = 10_000;
const MINUTE_MS = 60_000;
/** An office with one IP address may arrive at once, after a mail to everyone. */
const BURST_MINUTES = 2;

/** Returns buckets of this rate, full at first. */
export function rateLimit(
  { perMinute, burstMinutes = BURST_MINUTES }: Rate,
  clock: Pick<Clock, "now">,
): RateLimit {
  const full = perMinute * burstMinutes;
  const buckets = new Map<string, { left: number; at: number }>();

  function bucketOf(key: string): { left: number; at: number } {
    const now = clock.now().getTime();
    const kept = buckets.get(key) ?? { left: full, at: now };
    const refilled = (Math.max(0, now - kept.at) / MINUTE_MS) * perMinute;
    const bucket = { left: Math.min(full, kept.left + refilled), at: now };
    buckets.delete(key);
    buckets.set(key, bucket);
    const [oldest] = buckets.keys();
    if (buckets.size > KEYS_MAX && oldest !== undefined) buckets.delete(oldest);
    return bucket;
  }

  return {
    take(key = "", count = 1) {
      const bucket = bucketOf(key);
      if (bucket.left < count) return false;
      bucket.left -= count;
      return true;
    },
    giveBack(key = "", count = 1) {
      const bucket = bucketOf(key);
      bucket.left = Math.min(full, bucket.left + count);
    },
  };
}

/**
 * The limits of one client at the public functions, and of all clients of one instance together.
 */
export interface PublicLimits {
  /** Requests to the pages, by client. */
  pages: RateLimit;
  /** Exchanges of a code, by client. */
  exchanges: RateLimit;
  /** Failed exchanges of a code, of all clients together. */
  failedExchanges: RateLimit;
  /** Rejected security events, by client. Google's own are not limited. */
  refusedEvents: RateLimit;
}

/** Returns the limits of one instance from the configuration. */
export function publicLimits(
  rates: Readonly<Record<keyof PublicLimits, Rate>>,
  clock: Clock,
): PublicLimits {
  return {
    pages: rateLimit(rates.pages, clock),
    exchanges: rateLimit(rates.exchanges, clock),
    failedExchanges: rateLimit(rates.failedExchanges, clock),
    refusedEvents: rateLimit(rates.refusedEvents, clock),
  };
}

/**
 * Returns what distinguishes a client: an IPv4 address, or the network of an IPv6 address, since
 * each subscriber has 2^64 addresses. The last entries of `X-Forwarded-For` come from the proxies
 * in front of the function, the others from the client itself: Google's front end adds the last
 * one, and each load balancer in front of it adds one more.
 */
export function clientOf(
  forwardedFor: string | undefined,
  socketAddress: string | undefined,
  loadBalancers: number,
): string {
  const entries = forwardedFor?.split(",") ?? [];
  return networkOf((entries.at(-1 - loadBalancers) ?? socketAddress ?? "").trim());
}

function networkOf(address: string): string {
  if (isIP(address) === 4) return address;
  if (isIP(address) !== 6) return "";
  // A URL contains the address in its one short form; "::" replaces the omitted groups.
  const short = new URL(`http://[${address.split("%")[0]}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(short) ?? [];
  if (high !== undefined && low !== undefined) return fromMapped(high, low);
  const [head = "", tail] = short.split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail ? tail.split(":") : [];
  const groups = [...front, ...Array<string>(8 - front.length - back.length).fill("0"), ...back];
  return groups.slice(0, 4).join(":");
}

/** Returns the IPv4 address in an IPv6 one (RFC 4291 §2.5.5.2), from its last two groups. */
function fromMapped(high: string, low: string): string {
  const groups = [high, low].map((group) => Number.parseInt(group, 16));
  return groups.flatMap((group) => [group >> 8, group & 255]).join(".");
}
