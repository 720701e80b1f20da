import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { deserialize, serialize } from "node:v8";
import type { SavedUsers } from "../support/memory-users.ts";

/** Everything that a stopped local stack continues with. */
export interface SavedStack {
  /** The emulated Google, as its `save` returned it. */
  google: Uint8Array;
  users: SavedUsers;
  /** The key ring that the stored tokens are sealed with. */
  tokenKeys: string;
  /** How far the time is ahead of this machine's. */
  aheadMs: number;
  /** What the page shows. */
  entries: { kind: string; data: unknown }[];
}

/** One file of a folder, in which a stack is kept. */
export interface StackFolder {
  /** What was kept, if anything. */
  saved: SavedStack | undefined;
  /** Writes the state if it has changed. One call at a time. */
  keep(stack: SavedStack): Promise<void>;
}

/** Changes with every change of what is kept that an older version could not read. */
const FORMAT = 2;
const FILE = "local-stack";

/** Opens a folder, which is made if there is none. Throws when what it holds cannot be read. */
export async function openStackFolder(folder: string): Promise<StackFolder> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, FILE);
  let last = await readFile(file).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  });
  const saved = last === undefined ? undefined : parse(last, file);

  return {
    saved,
    async keep(stack) {
      const bytes = serialize({ format: FORMAT, stack });
      if (last?.equals(bytes) === true) return;
      // A program that dies while it writes leaves the state before.
      await writeFile(`${file}.new`, bytes, { mode: 0o600 });
      await rename(`${file}.new`, file);
      last = bytes;
    },
  };
}

function parse(bytes: Buffer, file: string): SavedStack {
  try {
    const { format, stack } = deserialize(bytes) as { format?: unknown; stack?: SavedStack };
    if (format === FORMAT && stack !== undefined) return stack;
  } catch {
    // Not written by this program.
  }
  throw new Error(`${file} cannot be read: delete it to begin anew, or choose another folder`);
}
