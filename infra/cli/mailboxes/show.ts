import type { Operator } from "../operator.ts";
import { inWords, shown } from "./user-view.ts";
import type { Terminal } from "../terminal.ts";
import { findUser } from "./find-user.ts";

/** Shows one mailbox, without its secrets, and how complete its stream is. */
export async function show(
  { users, clock }: Operator,
  terminal: Terminal,
  name: string,
  isJson: boolean,
): Promise<void> {
  const found = shown(await findUser(name, users), clock.now());
  if (isJson) return terminal.print(JSON.stringify(found));
  const { completeness, ...fields } = found;
  for (const [field, value] of flattened(fields)) {
    await terminal.print(`${field.padEnd(FIELD_WIDTH)}  ${value}`);
  }
  await terminal.print(inWords(completeness));
}

const FIELD_WIDTH = 27;

/** `[["grant.generation", "2"], ...]`, as the fields are named in the stored document. */
function flattened(value: unknown, name = ""): [string, string][] {
  if (value instanceof Date) return [[name, value.toISOString()]];
  if (Array.isArray(value)) return [[name, value.map(leaf).join(" ") || "-"]];
  if (typeof value !== "object" || value === null) return [[name, String(value)]];
  return Object.entries(value).flatMap(([member, it]) =>
    flattened(it, name === "" ? member : `${name}.${member}`),
  );
}

function leaf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
