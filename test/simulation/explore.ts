import { type Explored, explore } from "./explore-run.ts";
import type { Scenario, Size } from "./explore-scenarios.ts";

/** What the exploration of one scenario came to. */
export interface Exploration {
  scenario: string;
  states: number;
  /** Steps from one state to another. */
  transitions: number;
  /** Runs to the end of the world, each from another end of the scenario. */
  ends: number;
  runs: number;
  seconds: number;
  /** Every state was reached, and everything that is possible in it was tried. */
  isComplete: boolean;
  /** The shortest way to a broken promise. */
  counterexample?: Explored;
}

/** Where an exploration ends early. */
export interface Bound {
  secondsMax: number;
  /** Any way to a broken promise will do. */
  isAnyEnough?: boolean;
}

/** Tries everything that can happen in a scenario; each state is explored once. */
export async function exploreScenario(
  scenario: Scenario,
  size: Size,
  bound: Bound,
): Promise<Exploration> {
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1_000;
  const first = await search(scenario, size, Infinity, bound);
  let counterexample = first.violated;
  // A known state may have been reached on a longer way: so it is looked for again, less deep.
  while (
    counterexample !== undefined &&
    bound.isAnyEnough !== true &&
    seconds() < bound.secondsMax
  ) {
    const shorter = await search(scenario, size, counterexample.steps.length, {
      secondsMax: bound.secondsMax - seconds(),
    });
    if (shorter.violated === undefined) break;
    counterexample = shorter.violated;
  }
  const { violated: _, ...figures } = first;
  return {
    scenario: scenario.name,
    ...figures,
    seconds: seconds(),
    ...(counterexample !== undefined && { counterexample }),
  };
}

type Found = Omit<Exploration, "scenario" | "seconds" | "counterexample"> & { violated?: Explored };

/** Looks for a run with fewer steps than `depth` that breaks a promise. */
async function search(
  scenario: Scenario,
  size: Size,
  depth: number,
  { secondsMax }: Bound,
): Promise<Found> {
  const startedAt = performance.now();
  /** The depth at which each state was reached. */
  const known = new Map<string, number>();
  const isKnown = (state: string, at: number): boolean => {
    const before = known.get(state);
    // Where a shorter way is looked for, a state that is reached sooner is worth another look.
    if (before !== undefined && (depth === Infinity || before <= at)) return true;
    known.set(state, at);
    return at >= depth;
  };
  // Those that differ least from the first run come first: most faults need little to show.
  const prefixes: number[][] = [[]];
  const found: Found = { states: 0, transitions: 0, ends: 0, runs: 0, isComplete: false };
  for (const prefix of prefixes) {
    if (performance.now() - startedAt > secondsMax * 1_000) return found;
    const run = await explore(scenario, size, prefix, isKnown);
    found.runs += 1;
    found.states = known.size;
    found.transitions += run.steps.length - Math.max(0, prefix.length - 1);
    if (!run.isCut) found.ends += 1;
    if (run.violation !== undefined) return { ...found, violated: run };
    const taken = run.steps.map(({ chosen }) => chosen);
    for (const [index, { options }] of run.steps.entries()) {
      if (index < prefix.length) continue;
      for (let other = 1; other < options.length; other++) {
        prefixes.push([...taken.slice(0, index), other]);
      }
    }
  }
  return { ...found, isComplete: true };
}
