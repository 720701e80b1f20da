/** A value, or why there is none. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

/** Returns the result that has a value. */
export function ok<T>(value: T): Result<T, never> {
  return { ok: true, value };
}

/** Returns the result that says why there is no value. */
export function err<E>(error: E): Result<never, E> {
  return { ok: false, error };
}
