import { describe, expect, it } from "vitest";
import { FLOWS } from "./crash-flows.ts";
import { type Ending, crashPointsOf, play, repeatsOf } from "./crash-points.ts";

const flows = await Promise.all(
  FLOWS.map(async (flow) => ({ flow, undisturbed: await play(flow) })),
);

/**
 * Every flow is played once without a fault, and its effects are numbered. Then it is played anew
 * for each effect and each way to be interrupted there: the instance dies before the effect, or
 * after it and before it knows; or it sleeps on the answer, longer than any run lasts, and goes on
 * as if nothing had happened. What follows is what follows in the field: a new instance,
 * notifications that come again, schedules, a person who tries again. Then every promise is checked.
 */
for (const { flow, undisturbed } of flows) {
  const { effects, result, ending } = undisturbed;
  const mostOften = Math.max(1, ...repeatsOf(result).values());

  describe(`${flow.name}`, () => {
    it("keeps every promise without a crash", () => {
      expect(result.violations).toEqual([]);
      expect(ending).toEqual(asWanted(ending));
      expect(inOrder(flow.passes, effects)).toEqual(flow.passes);
    });

    const points = crashPointsOf(effects).map(
      (point) => [`${point.number} ${point.label}: ${point.strike}`, point] as const,
    );
    it.each(points)("%s", async (_, point) => {
      const played = await play(flow, point);
      expect(played.struck).toBe(point.label);
      expect(played.result.violations).toEqual([]);
      const isOpen = flow.isContested === true && point.strike === "sleeps_after";
      expect(played.ending).toEqual(isOpen ? played.ending : asWanted(played.ending));
      for (const count of repeatsOf(played.result).values()) {
        expect(count).toBeLessThanOrEqual(mostOften + 1);
      }
    });
  });
}

/** In the end everybody has what they want, and a grant that nobody wants is no more. */
function asWanted({ wants }: Ending): Ending {
  return { wants, status: wants === "connected" ? "active" : wants, unwantedTokens: 0 };
}

/** Those of `wanted` that are found in `labels`, each after the one before. */
function inOrder(wanted: readonly string[], labels: readonly string[]): string[] {
  const found: string[] = [];
  for (const label of labels) if (label === wanted[found.length]) found.push(label);
  return found;
}
