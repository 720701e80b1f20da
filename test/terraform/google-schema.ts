import { readFileSync } from "node:fs";

/** What may stand in a block: types of attributes (`string!`: required, `string-`: write-only), and blocks in it. */
export interface BlockSchema {
  readonly [name: string]: string | BlockSchema;
}

export interface GoogleSchema {
  readonly provider: BlockSchema;
  readonly data: Readonly<Record<string, BlockSchema>>;
  readonly resources: Readonly<Record<string, BlockSchema>>;
  /** What Google adds to a resource, and how it is made of the rest: `projects/{project}`. */
  readonly computed: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The attributes that Google's provider cannot change: another value is another resource. */
  readonly fixed: Readonly<Record<string, readonly string[]>>;
}

/** The provider hashicorp/google as far as `infra/` uses it. */
export function readGoogleSchema(): GoogleSchema {
  const file = new URL("./google-schema.json", import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as GoogleSchema;
}

export interface Member {
  name: string;
  isRequired: boolean;
  /** Whether the provider gets it, and neither a plan nor the state does. */
  isWriteOnly: boolean;
  /** A type for an attribute, a schema for a block. */
  holds: string | BlockSchema;
}

/** The attributes and the blocks of a block. */
export function membersOf(schema: BlockSchema): Member[] {
  return Object.entries(schema).map(([name, holds]) => ({
    name: name.replace(/!$/, ""),
    isRequired: (typeof holds === "string" ? holds : name).endsWith("!"),
    isWriteOnly: typeof holds === "string" && holds.endsWith("-"),
    holds: typeof holds === "string" ? holds.replace(/[!-]$/, "") : holds,
  }));
}
