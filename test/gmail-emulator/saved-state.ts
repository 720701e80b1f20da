import { deserialize, serialize } from "node:v8";
import type { Google } from "./google.ts";

/** What is not saved: the caller's own, and keys, which are made again. */
type Kept = Omit<Google, "now" | "random" | "signer" | "publish">;

/** Changes with every change of what is saved that an older version could not read. */
const FORMAT = 2;

/**
 * Returns everything Google knows, as bytes for {@link loadState}. Tokens and client secrets are
 * among it. Notifications on their way, faults of the server and the log of calls are not.
 */
export function saveState(google: Google): Buffer {
  const { now: _, random: __, signer: ___, publish: ____, ...kept } = google;
  return serialize({ format: FORMAT, google: kept satisfies Kept });
}

/** Replaces everything Google knows by what was saved. Throws when the bytes are something else. */
export function loadState(google: Google, state: Uint8Array): void {
  const saved = parse(state);
  if (saved === undefined) throw new Error("this is no saved state of the Gmail emulator");
  // Others hold the settings and the maps, so their content is replaced.
  for (const [name, value] of Object.entries(saved) as [keyof Kept, unknown][]) {
    const own: unknown = google[name];
    if (own instanceof Map && value instanceof Map) {
      own.clear();
      for (const [key, member] of value) own.set(key, member);
    } else if (typeof own === "object" && own !== null) Object.assign(own, value);
    else Object.assign(google, { [name]: value });
  }
}

function parse(state: Uint8Array): Kept | undefined {
  try {
    const { format, google } = deserialize(state) as { format?: unknown; google?: Kept };
    return format === FORMAT ? google : undefined;
  } catch {
    return undefined;
  }
}
