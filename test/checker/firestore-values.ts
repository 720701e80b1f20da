/*
 * Values as Firestore's REST API writes them: https://cloud.google.com/firestore/docs/reference/rest/v1/Value
 */

type Fields = Readonly<Record<string, unknown>>;

/** Reads the fields of a document or map: dates as `Date`, whole numbers as numbers. */
export function readFields(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, read(value)]));
}

/** Writes an object as the fields of a document; members that are `undefined` are left out. */
export function writeFields(object: object): Fields {
  const members = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(members.map(([name, value]) => [name, write(value)]));
}

function read(value: unknown): unknown {
  const [[kind, content] = ["nullValue", null]] = Object.entries(value as Fields);
  switch (kind) {
    case "timestampValue":
      return new Date(String(content));
    case "integerValue":
      return Number(content);
    case "arrayValue":
      return ((content as { values?: unknown[] }).values ?? []).map(read);
    case "mapValue":
      return readFields((content as { fields?: Fields }).fields ?? {});
    default:
      return content;
  }
}

function write(value: unknown): Fields {
  if (value instanceof Date) return { timestampValue: value.toISOString() };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(write) } };
  switch (typeof value) {
    case "boolean":
      return { booleanValue: value };
    case "number":
      return Number.isInteger(value) ? { integerValue: String(value) } : { doubleValue: value };
    case "object":
      return value === null ? { nullValue: null } : { mapValue: { fields: writeFields(value) } };
    default:
      return { stringValue: String(value) };
  }
}
