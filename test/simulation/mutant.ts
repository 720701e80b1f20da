import { FOCUS, type Focus } from "./focus.ts";
import { simulate } from "./simulate.ts";
import type { Violation } from "./world.ts";

/** The first promise that a seed breaks on the product that this file was bundled with. */
export async function firstViolation(
  seed: number,
  focus: Focus | undefined,
): Promise<Violation | undefined> {
  const adjust = focus === undefined ? {} : { adjust: FOCUS[focus] };
  const { violations } = await simulate(seed, { ...adjust, endsAtViolation: true });
  return violations[0];
}
