import type { Fields } from "./state.ts";

interface Query {
  where?: {
    fieldFilter: {
      field: { fieldPath: string };
      op: string;
      value: { stringValue?: string; timestampValue?: string };
    };
  };
  limit?: number;
}

/**
 * `documents:runQuery` and `documents:runAggregationQuery` (a count) over users, with one condition
 * or none. Fields are not left out, whatever was selected.
 */
export function answerQuery(
  users: ReadonlyMap<string, Fields>,
  body: Record<string, unknown>,
): unknown {
  const { structuredAggregationQuery } = body as {
    structuredAggregationQuery?: { structuredQuery: Query };
  };
  const query = structuredAggregationQuery?.structuredQuery ?? (body["structuredQuery"] as Query);
  const found = [...users].filter(([, fields]) => meets(fields, query)).slice(0, query.limit);
  const readTime = new Date().toISOString();
  if (structuredAggregationQuery !== undefined) {
    const count = { integerValue: String(found.length) };
    return [{ result: { aggregateFields: { count } }, readTime }];
  }
  if (found.length === 0) return [{ readTime }];
  return found.map(([id, fields]) => ({ document: { name: `users/${id}`, fields }, readTime }));
}

function meets(fields: Fields, { where }: Query): boolean {
  if (where === undefined) return true;
  const { field, op, value } = where.fieldFilter;
  const stored = at(fields, field.fieldPath.split("."));
  if (stored === undefined) return false;
  if (op === "EQUAL") return stored.stringValue === value.stringValue;
  return Date.parse(stored.timestampValue ?? "") < Date.parse(value.timestampValue ?? "");
}

function at(
  fields: Fields,
  [name = "", ...rest]: string[],
): { stringValue?: string; timestampValue?: string } | undefined {
  const value = fields[name] as { mapValue?: { fields?: Fields } } | undefined;
  if (rest.length === 0 || value === undefined) return value as ReturnType<typeof at>;
  return at(value.mapValue?.fields ?? {}, rest);
}
