import { z } from "zod";
import type { Deployment } from "./deployment.ts";

/** Firestore's documents over REST (`projects.databases.documents`, v1), read and never written. */
const ROLE = "roles/datastore.viewer";

/** A value in Firestore's REST format, as far as user documents need it. */
const Value = z.looseObject({
  stringValue: z.string().optional(),
  timestampValue: z.string().optional(),
  integerValue: z.string().optional(),
});
type Value = z.infer<typeof Value>;
type Fields = Record<string, Value>;

const Row = z.object({
  document: z
    .object({ name: z.string(), fields: z.record(z.string(), z.unknown()).default({}) })
    .optional(),
});
const Count = z.object({
  result: z.object({
    aggregateFields: z.object({ count: z.object({ integerValue: z.string() }) }),
  }),
});

/** Reads a field of a user document by its path with dots; returns `undefined` if it is absent. */
export type ReadField = (path: string) => string | undefined;

interface Condition {
  field: string;
  op: "LESS_THAN" | "EQUAL";
  value: string | Date;
}

/** Returns how many users match. */
export async function countUsers(it: Deployment, where: Condition): Promise<number> {
  const answer = await it.cloud.ask({
    api: "documents",
    path: `${await root(it)}:runAggregationQuery`,
    shape: z.array(Count),
    role: ROLE,
    body: {
      structuredAggregationQuery: {
        aggregations: [{ alias: "count", count: {} }],
        structuredQuery: { from: [{ collectionId: "users" }], where: filter(where) },
      },
    },
  });
  return Number(answer?.[0]?.result.aggregateFields.count.integerValue ?? 0);
}

/** Returns some of the users that match, with only these fields. */
export async function readUsers(
  it: Deployment,
  { where, fields, limit }: { where?: Condition; fields: readonly string[]; limit: number },
): Promise<ReadField[]> {
  const rows = await it.cloud.ask({
    api: "documents",
    path: `${await root(it)}:runQuery`,
    shape: z.array(Row),
    role: ROLE,
    body: {
      structuredQuery: {
        from: [{ collectionId: "users" }],
        select: { fields: fields.map((fieldPath) => ({ fieldPath })) },
        ...(where !== undefined && { where: filter(where) }),
        limit,
      },
    },
  });
  return (rows ?? [])
    .map(({ document }) => document)
    .filter((document) => document !== undefined)
    .map(
      ({ fields: found }) =>
        (path) =>
          readField(found as Fields, path.split(".")),
    );
}

function readField(fields: Fields, [name = "", ...rest]: string[]): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (rest.length > 0) {
    const { mapValue } = value as { mapValue?: { fields?: Fields } };
    return readField(mapValue?.fields ?? {}, rest);
  }
  const { stringValue, timestampValue, integerValue } = value;
  return stringValue ?? timestampValue ?? integerValue ?? JSON.stringify(value);
}

async function root(it: Deployment): Promise<string> {
  return `projects/${it.projectId}/databases/${await it.databaseId()}/documents`;
}

function filter({ field, op, value }: Condition) {
  const compared =
    typeof value === "string" ? { stringValue: value } : { timestampValue: value.toISOString() };
  return { fieldFilter: { field: { fieldPath: field }, op, value: compared } };
}
