import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import * as z from "zod";
import type { OfferedGrant } from "../../../../functions/src/connect/adoption.ts";
import { parseHistoryId } from "../../../../functions/src/domain/history-id.ts";
import { type Result, err, ok } from "../../../../functions/src/domain/result.ts";
import { TAGS } from "../../../../functions/src/domain/tags.ts";
import { CommandError, usageError } from "../../errors.ts";

/** A grant of the file. */
export interface GrantLine extends OfferedGrant {
  /** Counts from 1, blank lines, too. */
  number: number;
  /** Names the token of the file without revealing it. */
  digest: string;
}

/** 100,000 lines of 640 bytes: a larger migration is several files. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const PROBLEMS_SHOWN_MAX = 20;
/** Permissions of anyone but the owner. */
const OTHERS = 0o077;

const LINE = z.strictObject({
  refreshToken: z.string().regex(/^[\x21-\x7e]{1,2048}$/),
  historyId: z.unknown().optional(),
  tags: TAGS.optional(),
});

/**
 * Reads a file of grants: one JSON object a line, with `refreshToken`, and optionally `historyId` and
 * `tags`. Throws a usage error that names every line that cannot be used, and no value of any line.
 */
export async function readGrantsFile(
  file: string,
  warn: (text: string) => void,
): Promise<GrantLine[]> {
  const text = await readText(file, warn);
  const grants: GrantLine[] = [];
  const problems: string[] = [];
  const numbers = new Map<string, number>();
  for (const [index, line] of text.split("\n").entries()) {
    const number = index + 1;
    if (line.trim() === "") continue;
    const parsed = parseLine(line, number);
    const earlier = parsed.ok ? numbers.get(parsed.value.digest) : undefined;
    if (!parsed.ok) problems.push(`line ${number}: ${parsed.error}`);
    else if (earlier !== undefined) problems.push(`line ${number}: the token of line ${earlier}`);
    else {
      numbers.set(parsed.value.digest, number);
      grants.push(parsed.value);
    }
  }
  if (problems.length > 0) throw unusable(file, problems);
  if (grants.length === 0) throw usageError(`${file} has no grants`);
  return grants;
}

async function readText(file: string, warn: (text: string) => void): Promise<string> {
  try {
    const { mode, size } = await stat(file);
    if (size > FILE_BYTES_MAX) {
      throw usageError(`${file} has more than ${FILE_BYTES_MAX} bytes: split it`);
    }
    if ((mode & OTHERS) !== 0) {
      warn(`warning: other users of this machine may read ${file}: chmod 600 protects the tokens`);
    }
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const { code = "an error" } = error as { code?: string };
    throw usageError(`${file} cannot be read: ${code}`);
  }
}

/** Returns the grant of a line, or why there is none. The text never contains a part of the line. */
function parseLine(line: string, number: number): Result<GrantLine, string> {
  let content: unknown;
  try {
    content = JSON.parse(line);
  } catch {
    return err("not JSON");
  }
  const { data, error } = LINE.safeParse(content);
  if (error !== undefined) return err(describe(error));
  const { refreshToken, historyId: given, tags } = data;
  const historyId = parseHistoryId(given);
  if (given !== undefined && historyId === undefined) return err("historyId is not a history id");
  return ok({
    number,
    digest: createHash("sha256").update(refreshToken).digest("hex"),
    refreshToken,
    ...(historyId !== undefined && { historyId }),
    ...(tags !== undefined && { tags }),
  });
}

function describe({ issues: [issue] }: z.ZodError): string {
  const [field] = issue?.path ?? [];
  if (issue?.code === "unrecognized_keys") return "fields other than refreshToken, historyId, tags";
  switch (field) {
    case "refreshToken":
      return "refreshToken is missing, or is not a token";
    case "tags":
      return "tags are not at most 10 short texts (see security.md)";
    default:
      return "not an object with refreshToken";
  }
}

function unusable(file: string, problems: readonly string[]): CommandError {
  const shown = problems.slice(0, PROBLEMS_SHOWN_MAX);
  const rest = problems.length - shown.length;
  const lines = [
    `${file} cannot be used, and nothing was done:`,
    ...shown.map((problem) => `  ${problem}`),
    ...(rest > 0 ? [`  and ${rest} more lines`] : []),
  ];
  return usageError(lines.join("\n"));
}
