/** What Terraform and its providers send each other: protocol buffers with MessagePack inside. */

/** A field of a message: its number, and what it holds. Embedded messages are bytes. */
export type Field = readonly [number: number, value: Buffer | string | boolean | number];

/** A protocol buffers message (encoding guide, "Message Structure"); false and 0 are left out. */
export function encodeMessage(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (typeof value === "boolean" || typeof value === "number") {
        return Number(value) === 0 ? [] : [varint(number << 3), varint(Number(value))];
      }
      const bytes = Buffer.from(value);
      return [varint((number << 3) | 2), varint(bytes.length), bytes];
    }),
  );
}

/** The bytes in each field of a message, the last of each number; other kinds are skipped. */
export function decodeMessage(message: Buffer): Map<number, Buffer> {
  const fields = new Map<number, Buffer>();
  let at = 0;
  const read = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message.readUInt8(at++);
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = read();
    if ((tag & 7) === 0) read();
    else if ((tag & 7) === 2) {
      const length = read();
      fields.set(tag >> 3, message.subarray(at, (at += length)));
    } else throw new Error(`wire type ${tag & 7} is not read here`);
  }
  return fields;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** A value that is known only once a resource has been made. */
export const UNKNOWN: unique symbol = Symbol("unknown");

export type Value = null | boolean | number | string | typeof UNKNOWN | Value[] | ValueObject;
export interface ValueObject {
  [name: string]: Value;
}

/** A value in MessagePack as Terraform writes it: extensions stand for what is not known yet. */
export function decodeValue(bytes: Buffer): Value {
  let at = 0;
  const take = (length: number) => bytes.subarray(at, (at += length));
  const size = (width: number) => take(width).readUIntBE(0, width);
  const text = (length: number) => take(length).toString("utf8");
  const array = (length: number) => Array.from({ length }, () => next());
  const object = (length: number): ValueObject =>
    Object.fromEntries(Array.from({ length }, () => [String(next()), next()]));
  const unknown = (length: number): Value => {
    take(length + 1);
    return UNKNOWN;
  };
  function next(): Value {
    const type = size(1);
    if (type <= 0x7f) return type;
    if (type <= 0x8f) return object(type & 0x0f);
    if (type <= 0x9f) return array(type & 0x0f);
    if (type <= 0xbf) return text(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    const read = READERS[type];
    if (read === undefined) throw new Error(`MessagePack type ${type} is not read here`);
    return read();
  }
  const READERS: Readonly<Record<number, () => Value>> = {
    0xc0: () => null,
    0xc2: () => false,
    0xc3: () => true,
    0xc7: () => unknown(size(1)),
    0xca: () => take(4).readFloatBE(),
    0xcb: () => take(8).readDoubleBE(),
    0xcc: () => size(1),
    0xcd: () => size(2),
    0xce: () => size(4),
    0xcf: () => Number(take(8).readBigUInt64BE()),
    0xd0: () => take(1).readInt8(),
    0xd1: () => take(2).readInt16BE(),
    0xd2: () => take(4).readInt32BE(),
    0xd3: () => Number(take(8).readBigInt64BE()),
    0xd4: () => unknown(1),
    0xd5: () => unknown(2),
    0xd6: () => unknown(4),
    0xd9: () => text(size(1)),
    0xda: () => text(size(2)),
    0xdb: () => text(size(4)),
    0xdc: () => array(size(2)),
    0xdd: () => array(size(4)),
    0xde: () => object(size(2)),
    0xdf: () => object(size(4)),
  };
  return next();
}

/** The same, the other way. */
export function encodeValue(value: Value): Buffer {
  if (value === null) return Buffer.from([0xc0]);
  if (value === UNKNOWN) return Buffer.from([0xd4, 0, 0]);
  if (typeof value === "boolean") return Buffer.from([value ? 0xc3 : 0xc2]);
  if (typeof value === "number") {
    const bytes = Buffer.from([0xcb, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (typeof value === "string") {
    const bytes = Buffer.from(value);
    return Buffer.concat([head(0xdb, bytes.length), bytes]);
  }
  if (Array.isArray(value)) {
    return Buffer.concat([head(0xdd, value.length), ...value.map(encodeValue)]);
  }
  const entries = Object.entries(value);
  const pairs = entries.flatMap(([name, held]) => [encodeValue(name), encodeValue(held)]);
  return Buffer.concat([head(0xdf, entries.length), ...pairs]);
}

function head(type: number, length: number): Buffer {
  const bytes = Buffer.from([type, 0, 0, 0, 0]);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
