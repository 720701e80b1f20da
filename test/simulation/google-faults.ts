import type { Answer } from "../gmail-emulator/answer.ts";
import { rateLimited } from "../gmail-emulator/errors.ts";
import { type Preset, answerOfPreset } from "../gmail-emulator/presets.ts";
import type { GmailModel } from "../gmail-emulator/model.ts";
import type { World } from "./world.ts";

/** Nothing came back at all. */
export interface Thrown {
  thrown: unknown;
}

export interface GoogleFaults {
  /** Performs a call, or does not, and answers truly, or does not. */
  around(method: string, sub: string, perform: () => Answer): Answer | Thrown;
  /** The next call of this account's Gmail gets this answer. */
  failOnce(sub: string, preset: Preset): void;
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

/** What a mailbox meets for one call, however sound its history is. */
const STRAYS: Record<string, readonly [Preset, ...Preset[]]> = {
  "history.list": ["notFound", "invalidArgument"],
  "messages.list": ["notFound", "invalidArgument"],
  "messages.get": ["notFound"],
  "users.getProfile": ["notFound"],
};
/** Two in a row could not be told from the truth. */
const STRAY_EVERY_MS = 10 * MINUTE;

export function createGoogleFaults(world: World, model: GmailModel): GoogleFaults {
  const random = world.random("google-faults");
  const rudely = world.random("rude google");
  const { count, scheduler } = world;
  const { rude } = world.parameters;
  const strayedAt = new Map<string, number>();
  const once = new Map<string, Preset>();
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

  /** Whether something that must not strike twice in a row may strike this mailbox now. */
  function mayStray(sub: string, chance: number): boolean {
    const now = scheduler.now();
    if (world.isHealing || now - (strayedAt.get(sub) ?? -Infinity) < STRAY_EVERY_MS) return false;
    if (!rudely.chance(chance)) return false;
    strayedAt.set(sub, now);
    return true;
  }

  function stray(method: string, sub: string): Answer | undefined {
    const presets = STRAYS[method];
    if (!rude.has("stray answers") || presets === undefined || !mayStray(sub, 0.03)) return;
    count("google answered astray");
    const preset = rudely.pick(presets);
    world.trace(() => `${sub.slice(-4)} ${method} astray: ${preset}`);
    return answerOfPreset(preset, Math.round(scheduler.now()));
  }

  /** The answer of a replica that has not seen the last seconds or minutes. */
  function performBehind(method: string, sub: string, perform: () => Answer): Answer {
    const isRead = STRAYS[method] !== undefined;
    if (!rude.has("replicas behind") || !isRead || !mayStray(sub, 0.05)) return perform();
    count("google answered from a replica behind");
    // Further behind, it is as if records showed late by minutes: that is another way to be rude.
    const ms = rudely.int(1_000, Math.floor(0.8 * world.parameters.settleMs));
    world.trace(() => `${sub.slice(-4)} ${method} from a replica ${ms} ms behind`);
    model.setReplicaBehind(sub, ms);
    const answer = perform();
    model.setReplicaBehind(sub, 0);
    return answer;
  }

  function failedOnce(method: string, sub: string): Answer | undefined {
    const preset = once.get(sub);
    if (preset === undefined || method.startsWith("token.")) return undefined;
    once.delete(sub);
    return answerOfPreset(preset, Math.round(scheduler.now()));
  }

  return {
    failOnce: (sub, preset) => void once.set(sub, preset),

    around(method, sub, perform) {
      const refused = before(method, sub) ?? failedOnce(method, sub) ?? stray(method, sub);
      if (refused !== undefined) return refused;
      const answer = performBehind(method, sub, perform);
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
