import { commute } from "./explore-order.ts";
import { type Explored, type Option, type Point, explore } from "./explore-run.ts";
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
  /** Also those that cannot make a difference: shows that they make none. */
  triesAllOrders?: boolean;
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

/** A way into a world that is still to be tried. */
interface Branch {
  prefix: readonly number[];
  /** Options at its end that need no try: another branch tries them first, and then does the same. */
  asleep: ReadonlySet<string>;
}

/** What is known of a state. */
interface Visit {
  /** Of the way on which it was reached. */
  depth: number;
  /** Options that were asleep on each way to it. */
  asleep: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Looks for a run with fewer steps than `depthMax` that breaks a promise. Without that limit it comes
 * to every state, but not by every step: of two options that commute, only one order is tried (these
 * are sleep sets, with the states matched as in Godefroid's thesis of 1996).
 */
async function search(
  scenario: Scenario,
  size: Size,
  depthMax: number,
  { secondsMax, triesAllOrders = false }: Bound,
): Promise<Found> {
  const startedAt = performance.now();
  const isReduced = !triesAllOrders && depthMax === Infinity;
  const known = new Map<string, Visit>();
  // Those that differ least from the first run come first: most faults need little to show.
  const branches: Branch[] = [{ prefix: [], asleep: NONE }];
  const found: Found = { states: 0, transitions: 0, ends: 0, runs: 0, isComplete: false };
  for (const { prefix, ...branch } of branches) {
    if (performance.now() - startedAt > secondsMax * 1_000) return found;
    let { asleep } = branch;
    const taken: number[] = [];
    const run = await explore(scenario, size, (point) => {
      const { depth, options } = point;
      let chosen = prefix[depth];
      if (chosen === undefined) {
        const isLeft = visit(known, point, asleep, depthMax);
        if (isLeft === undefined) return undefined;
        const [first, ...others] = branchesAt(options, asleep, isLeft, isReduced);
        for (const other of others) {
          branches.push({ prefix: [...taken, other.chosen], asleep: other.asleep });
        }
        if (first === undefined && options.length > 0) return undefined;
        asleep = first?.asleep ?? NONE;
        chosen = first?.chosen ?? 0;
      }
      if (options.length > 0) taken.push(chosen);
      return chosen;
    });
    found.runs += 1;
    found.states = known.size;
    found.transitions += run.steps.length - Math.max(0, prefix.length - 1);
    if (!run.isCut) found.ends += 1;
    if (run.violation !== undefined) return { ...found, violated: run };
  }
  return { ...found, isComplete: true };
}

/** Notes a state that was reached. Returns which options are left to try there, if there can be any. */
function visit(
  known: Map<string, Visit>,
  { depth, state }: Point,
  asleep: ReadonlySet<string>,
  depthMax: number,
): ((option: Option) => boolean) | undefined {
  const name = state();
  const before = known.get(name);
  // Where a shorter way is looked for, a state that is reached sooner is worth another look.
  if (before === undefined || (depthMax !== Infinity && before.depth > depth)) {
    known.set(name, { depth, asleep });
    return depth >= depthMax ? undefined : ({ label }) => !asleep.has(label);
  }
  const woken = new Set([...before.asleep].filter((label) => !asleep.has(label)));
  const still = [...before.asleep].filter((label) => asleep.has(label));
  known.set(name, { ...before, asleep: new Set(still) });
  return woken.size === 0 ? undefined : ({ label }) => woken.has(label);
}

/** For each option that is left to try, what is asleep after it. */
function branchesAt(
  options: readonly Option[],
  asleep: ReadonlySet<string>,
  isLeft: (option: Option) => boolean,
  isReduced: boolean,
): { chosen: number; asleep: ReadonlySet<string> }[] {
  const tried = options.filter(({ label }) => asleep.has(label));
  return [...options.entries()]
    .filter(([, option]) => isLeft(option))
    .map(([chosen, option]) => {
      const resting = isReduced ? tried.filter((other) => commute(other, option)) : [];
      tried.push(option);
      return { chosen, asleep: new Set(resting.map(({ label }) => label)) };
    });
}
