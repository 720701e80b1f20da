/** A value, or why there is none. */
export type Result<T, E> = Ok<T> | Err<E>;

interface Ok<T> {
  readonly ok: true;
  readonly value: T;
}

interface Err<E> {
  readonly ok: false;
  readonly error: E;
}

/** Returns the result that has a value. */
export function ok<T>(value: T): Ok<T> {
  return { ok: true, value };
}

/** Returns the result that says why there is no value. */
export function err<E>(error: E): Err<E> {
  return { ok: false, error };
}
