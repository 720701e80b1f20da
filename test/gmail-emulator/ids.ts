export type Random = () => number;

const UINT64_MAX = 2n ** 64n - 1n;

/** Letters and digits; the same randomness gives the same text. */
export function randomText(random: Random, length: number): string {
  const chunks = Array.from({ length: Math.ceil(length / 8) }, () =>
    Math.floor(random() * 36 ** 8)
      .toString(36)
      .padStart(8, "0"),
  );
  return chunks.join("").slice(0, length);
}

/** A message or thread id as Gmail writes it: 16 hex digits. The serial number makes it unique. */
export function messageId(random: Random, serial: number): string {
  const middle = Math.floor(random() * 16 ** 6)
    .toString(16)
    .padStart(6, "0");
  return `19${middle}${serial.toString(16).padStart(8, "0")}`;
}

/** Google's account id: 21 decimal digits, too long for a JavaScript number. */
export function accountId(random: Random, serial: number): string {
  const middle = Math.floor(random() * 1e12)
    .toString()
    .padStart(12, "0");
  return `1${middle}${serial.toString().padStart(8, "0")}`;
}

/** Ids grow by random steps, so nothing may count on the next one being one higher. */
export function idStep(random: Random, max: number): bigint {
  return 1n + BigInt(Math.floor(random() * max));
}

/** Reads a history id; `undefined` for anything but a decimal uint64. */
export function parseHistoryId(text: string | null | undefined): bigint | undefined {
  if (text === null || text === undefined || !/^\d{1,20}$/.test(text)) return undefined;
  const id = BigInt(text);
  return id <= UINT64_MAX ? id : undefined;
}
