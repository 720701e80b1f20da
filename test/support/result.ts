import type { Result } from "../../functions/src/domain/result.ts";

/** Returns the value of a result that has to have one. */
export function valueOf<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`there is no value: ${JSON.stringify(result.error)}`);
  return result.value;
}
