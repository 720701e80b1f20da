import type { Answer } from "../gmail-emulator/answer.ts";
import { rateLimited } from "../gmail-emulator/errors.ts";
import { type Preset, answerOfPreset } from "../gmail-emulator/presets.ts";
import type { World } from "./world.ts";

/** Nothing came back at all. */
export interface Thrown {
  thrown: unknown;
}

export interface GoogleFaults {
  /** Performs a call, or does not, and answers truly, or does not. */
  around(method: string, sub: string, perform: () => Answer): Answer | Thrown;
}

const MINUTE = 60_000;
/** A grant counts as refused when fresh tokens are; so this must strike one user only now and then. */
const UNAUTHORIZED_EVERY_MS = 15 * MINUTE;

const PASSING: readonly [Preset, ...Preset[]] = [
  "backendError",
  "unavailable",
  "html502",
  "preconditionFailed",
];
const PASSING_TOKEN: readonly [Preset, ...Preset[]] = ["internalFailure", "html502", "unavailable"];
/** What a proxy or a broken connection makes of a good answer. */
const DAMAGED: readonly [Preset, ...Preset[]] = ["empty200", "truncatedJson200", "html502"];

export function createGoogleFaults(world: World): GoogleFaults {
  const random = world.random("google-faults");
  const { count, scheduler } = world;
  const unauthorizedAt = new Map<string, number>();

  function before(method: string, sub: string): Answer | Thrown | undefined {
    const { rates } = world;
    const now = Math.round(scheduler.now());
    const isToken = method.startsWith("token.");
    if (world.outages.google) return answerOfPreset("unavailable", now);
    if (random.chance(rates.googleRefusesBefore)) {
      count("google failed before the effect");
      if (method === "users.watch" && random.chance(0.3)) {
        count("watch conflict");
        return answerOfPreset("otherPushClientActive", now);
      }
      if (random.chance(0.3)) return connectionLost();
      return answerOfPreset(random.pick(isToken ? PASSING_TOKEN : PASSING), now);
    }
    if (random.chance(rates.googleThrottles)) {
      count("google throttled");
      if (isToken) return answerOfPreset("tokenRateLimited", now);
      if (random.chance(0.3)) return answerOfPreset("tooManyConcurrent", now);
      return rateLimited(now + Math.round(random.between(-10, 600) * 1_000));
    }
    const isDue = now - (unauthorizedAt.get(sub) ?? -Infinity) > UNAUTHORIZED_EVERY_MS;
    if (!isToken && isDue && random.chance(rates.googleUnauthorized)) {
      unauthorizedAt.set(sub, now);
      count("google answered 401 to a live token");
      return answerOfPreset("invalidCredentials", now);
    }
    return undefined;
  }

  return {
    around(method, sub, perform) {
      const refused = before(method, sub);
      if (refused !== undefined) return refused;
      const answer = perform();
      if (!random.chance(world.rates.googleFailsAfter)) return answer;
      count("google failed after the effect");
      if (random.chance(0.5)) return connectionLost();
      count("google answered with a page");
      return answerOfPreset(random.pick(DAMAGED), Math.round(scheduler.now()));
    },
  };
}

function connectionLost(): Thrown {
  return { thrown: Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }) };
}
