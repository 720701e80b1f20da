/**
 * A copy of plain data that nothing can change, as if it had been written to a disk. What is frozen
 * is taken for such a copy, and shared. Much quicker than `structuredClone`.
 */
export function frozenCopy<T>(value: T): T {
  return copyOf(value) as T;
}

function copyOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  return Object.freeze(shallowCopy(value));
}

function shallowCopy(value: object): object {
  if (Array.isArray(value)) return value.map(copyOf);
  if (value instanceof Date) return new Date(value);
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) copy[key] = copyOf(member);
  return copy;
}
