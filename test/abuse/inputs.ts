import * as fc from "fast-check";

/** Values that parsers, stores and dates have stumbled over. */
const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  -1,
  1.5,
  1e308,
  2 ** 53 + 2,
  -(2 ** 63),
  8.64e15,
  8.64e15 + 1,
  Number.MAX_SAFE_INTEGER,
  "",
  " ",
  "0",
  "-1",
  "0012",
  "1e3",
  "18446744073709551615",
  "18446744073709551616",
  "9007199254740993",
  "9007199254740991",
  "null",
  "a\r\nSet-Cookie: b=c",
  "\u0000",
  "\ud800",
  "\u202e\ufeff",
  "<script>alert(1)</script>",
  "../../etc/passwd",
  "x".repeat(5_000),
  "x".repeat(70_000),
  [],
  [[]],
  [null],
  {},
  JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  JSON.parse(`${"[".repeat(1_000)}${"]".repeat(1_000)}`),
];

/** Any JSON value, the odd ones often. */
export const anyJson = fc.oneof(fc.constantFrom(...ODD), fc.jsonValue());

export const rawBytes = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));

type Path = readonly (string | number)[];

/** The value with one of its members, however deep, or itself, replaced. */
export function oneReplaced(
  value: unknown,
  by: fc.Arbitrary<unknown> = anyJson,
): fc.Arbitrary<unknown> {
  return fc
    .tuple(fc.constantFrom(...pathsOf(value)), by)
    .map(([path, other]) => replaced(value, path, other));
}

/** The value with one of its members, however deep, left out. */
export function oneMissing(value: unknown): fc.Arbitrary<unknown> {
  const paths = pathsOf(value).filter((path) => path.length > 0);
  return fc.constantFrom(...paths).map((path) => replaced(value, path, undefined));
}

function pathsOf(value: unknown): Path[] {
  if (!isTree(value)) return [[]];
  const inner = Object.entries(value).flatMap(([name, member]) =>
    pathsOf(member).map((path) => [Array.isArray(value) ? Number(name) : name, ...path]),
  );
  return [[], ...inner];
}

/** Arrays and plain objects; a `Timestamp` or a `Date` is one value. */
function isTree(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

function replaced(value: unknown, [name, ...path]: Path, other: unknown): unknown {
  if (name === undefined) return other;
  if (Array.isArray(value)) {
    return value.map((member, index) => (index === name ? replaced(member, path, other) : member));
  }
  const { [name]: member, ...rest } = value as Record<string, unknown>;
  const next = replaced(member, path, other);
  return next === undefined ? rest : { ...rest, [name]: next };
}

/** The bytes with one of them changed to another. */
export function oneByteChanged(bytes: Uint8Array): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.nat({ max: Math.max(0, bytes.length - 1) }), fc.integer({ min: 1, max: 255 }))
    .map(([at, difference]) => {
      const changed = Buffer.from(bytes);
      changed[at] = ((changed[at] ?? 0) + difference) % 256;
      return changed;
    });
}
