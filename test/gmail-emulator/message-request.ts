import type { Mail } from "./people.ts";

/** The JSON of a message in a request (`raw`, `labelIds`, `threadId`); `undefined` for anything else. */
export function readMessage(body: unknown): Mail | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { raw, labelIds, threadId } = body as Record<string, unknown>;
  if (typeof raw !== "string") return undefined;
  const bytes = Buffer.from(raw, "base64url");
  if (bytes.length === 0) return undefined;
  return {
    raw: bytes,
    ...(typeof threadId === "string" && { threadId }),
    ...(isTexts(labelIds) && { labelIds }),
  };
}

export function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
