import { describe, expect, it } from "vitest";
import { parseHistoryId } from "../../functions/src/domain/history-id.ts";
import { parseUserId } from "../../functions/src/domain/user.ts";
import { exploreScenario } from "./explore.ts";
import { type Choose, explore } from "./explore-run.ts";
import { SCENARIOS, SIZES, type Scenario } from "./explore-scenarios.ts";

/** Goal: exploration comes to every state of a small world, once, and shows the shortest way to a fault. */

const TIMEOUT_MS = 120_000;
const BOUND = { secondsMax: Infinity };
const [WITHOUT_BLOWS] = SIZES;
const [TWO_NOTIFICATIONS] = SCENARIOS;
/** Always the simplest: nothing goes wrong. */
const SIMPLEST: Choose = () => 0;

/** Somebody sets the cursor to the head: whatever is untold then is lost. */
function sabotaged({ windows: [window] }: Scenario): Scenario {
  return {
    name: "sabotage",
    windows: [
      {
        minute: window?.minute ?? 0,
        open: (scene) => [
          ...(window?.open(scene) ?? []),
          {
            label: "the cursor jumps",
            play() {
              const { historyId: head } = scene.google.model.account(scene.person.sub);
              const id = parseUserId(scene.person.sub);
              const historyId = parseHistoryId(head);
              if (id !== undefined && historyId !== undefined) scene.store.edit(id, { historyId });
            },
          },
        ],
      },
    ],
  };
}

describe("exploration", () => {
  it(
    "comes to an end, and finds no broken promise",
    async () => {
      const found = await exploreScenario(TWO_NOTIFICATIONS, WITHOUT_BLOWS, BOUND);
      expect(found.counterexample?.violation).toBeUndefined();
      expect(found.isComplete).toBe(true);
      expect(found.states).toBeGreaterThan(50);
      expect(found.transitions).toBeGreaterThan(found.states);
      expect(found.ends).toBeGreaterThan(1);
    },
    TIMEOUT_MS,
  );

  it(
    "comes to the same states when it leaves out orders that make no difference",
    async () => {
      const size = { instances: 2, records: 1, blows: 1 };
      const reduced = await exploreScenario(TWO_NOTIFICATIONS, size, BOUND);
      const all = await exploreScenario(TWO_NOTIFICATIONS, size, {
        ...BOUND,
        triesAllOrders: true,
      });
      expect(all.isComplete && reduced.isComplete).toBe(true);
      expect([reduced.states, reduced.ends]).toEqual([all.states, all.ends]);
      expect(reduced.transitions).toBeLessThan(all.transitions);
    },
    TIMEOUT_MS,
  );

  it("plays the same run for the same choices", async () => {
    const play = (choose: Choose) => explore(TWO_NOTIFICATIONS, WITHOUT_BLOWS, choose);
    const last: Choose = ({ options }) => Math.max(0, options.length - 1);
    const first = await play(last);
    expect(first.steps.length).toBeGreaterThan(5);
    expect((await play(({ depth }) => first.steps[depth]?.chosen ?? 0)).steps).toEqual(first.steps);
  });

  it("tries every blow at every effect", async () => {
    const size = { ...WITHOUT_BLOWS, blows: 1 };
    const { steps } = await explore(TWO_NOTIFICATIONS, size, SIMPLEST);
    for (const { options } of steps) {
      const effects = options.filter((label) => /^i\d+ (?!sleep)/.test(label));
      const plain = effects.filter((label) => !/ (dies|is_refused|answer_lost|sleeps)/.test(label));
      expect(effects).toHaveLength(plain.length * 6);
    }
  });

  it(
    "shows the shortest way to a broken promise",
    async () => {
      const { counterexample } = await exploreScenario(
        sabotaged(TWO_NOTIFICATIONS),
        WITHOUT_BLOWS,
        BOUND,
      );
      expect(counterexample?.violation?.property).toMatch(/^P(1|4|13)$/);
      const taken = counterexample?.steps.map(({ options, chosen }) => options[chosen]) ?? [];
      expect(taken[0]).toBe("the cursor jumps");
      // Both notifications find nothing to do: each is one read.
      expect(taken).toHaveLength(5);
    },
    TIMEOUT_MS,
  );
});
