import { exploreScenario } from "./explore.ts";
import { SCENARIOS, type Size, isOfSize } from "./explore-scenarios.ts";
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

/** A promise that the exploration of a small world finds broken, with the name of that world. */
export async function exploredViolation(
  size: Size,
  secondsMax: number,
): Promise<{ scenario: string; violation: Violation } | undefined> {
  for (const scenario of SCENARIOS.filter((each) => isOfSize(each, size))) {
    const bound = { secondsMax, isAnyEnough: true };
    const { counterexample } = await exploreScenario(scenario, size, bound);
    const violation = counterexample?.violation;
    if (violation !== undefined) return { scenario: scenario.name, violation };
  }
  return undefined;
}
