import { open, readFile, rm } from "node:fs/promises";
import * as z from "zod";
import type { Envelope } from "../../../../functions/src/crypto/envelope.ts";
import { usageError } from "../../errors.ts";

/**
 * The refresh tokens that Google issued in place of those in the file, for grants that are not
 * stored yet. Without them a program that dies would lose the grants: the old tokens may be dead.
 */
export interface RotatedTokens {
  /** Returns the tokens that replaced the one with this digest, the latest last. */
  find(digest: string): readonly string[];
  /** Resolves once the token is on disk. */
  keep(digest: string, refreshToken: string): Promise<void>;
  /** Whether there are any. */
  isNeeded(): boolean;
  /** Closes the file, and deletes it if it is empty. */
  close(): Promise<void>;
}

const ENTRY = z.object({ digest: z.string(), sealed: z.string() });
const TOKEN = z.object({ refreshToken: z.string() });

/**
 * Opens the journal of an import, so that a folder in which nothing can be written shows before the
 * first refresh: one JSON object a line, the tokens sealed with the key ring. Throws
 * a usage error if a token of an earlier run cannot be opened.
 */
export async function openRotatedTokens(file: string, envelope: Envelope): Promise<RotatedTokens> {
  const earlier = await readFile(file, "utf8").catch((error: unknown) => {
    if ((error as { code?: unknown }).code === "ENOENT") return "";
    throw usageError(`${file} cannot be read`);
  });
  const tokens = new Map<string, readonly string[]>();
  const add = (digest: string, token: string) =>
    void tokens.set(digest, [...(tokens.get(digest) ?? []), token]);
  for (const line of earlier.split("\n")) {
    const entry = parseEntry(line);
    if (entry === undefined) continue;
    const opened = envelope.open("rotated_token", entry.sealed, TOKEN);
    if (opened === undefined) {
      throw usageError(`${file} was written with other TOKEN_KEYS: import with those first`);
    }
    add(entry.digest, opened.refreshToken);
  }
  const handle = await open(file, "a", 0o600).catch(() => {
    throw usageError(`${file} cannot be written: it keeps the tokens that Google replaces`);
  });
  // What a program that died has left of a line must not spoil the next one.
  if (earlier !== "" && !earlier.endsWith("\n")) await handle.write("\n");
  let written = Promise.resolve();

  async function append(line: string): Promise<void> {
    await handle.write(line);
    await handle.sync();
  }

  return {
    find: (digest) => tokens.get(digest) ?? [],
    keep(digest, refreshToken) {
      add(digest, refreshToken);
      const sealed = envelope.seal("rotated_token", { refreshToken });
      // One after the other: a file handle does not order writes.
      written = written.then(() => append(`${JSON.stringify({ digest, sealed })}\n`));
      return written;
    },
    isNeeded: () => tokens.size > 0,
    async close() {
      await handle.close();
      if (tokens.size === 0) await rm(file, { force: true });
    },
  };
}

/** Returns `undefined` for a line that a program which died has not written to its end. */
function parseEntry(line: string): z.infer<typeof ENTRY> | undefined {
  try {
    return ENTRY.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
