import { createHash } from "node:crypto";

/** What differs between two runs that are in the same state: secrets, and what stands for a reading. */
const MASKED: ReadonlySet<string> = new Set([
  "accessToken",
  "refreshToken",
  "refreshTokenDigests",
  "read",
]);
const SECRETS = /ya29\.[\w-]+|1\/\/0[\w-]+|4\/0A[\w-]+/g;

/** Returns a name for a state: the same for the same parts, and for no others. */
export function nameOf(...parts: readonly unknown[]): string {
  const text = JSON.stringify(parts, plain).replace(SECRETS, "secret");
  return createHash("sha1").update(text).digest("base64");
}

function plain(key: string, value: unknown): unknown {
  if (MASKED.has(key)) return value === undefined ? undefined : "…";
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map || value instanceof Set) return [...value];
  if (value instanceof Error) {
    const { code, message } = value as NodeJS.ErrnoException;
    return [code, message];
  }
  return value;
}
