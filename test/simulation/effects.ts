import type { Clock } from "../../functions/src/domain/clock.ts";
import type { Instance } from "./fleet.ts";
import type { World } from "./world.ts";

/** What an effect comes to: a value or an error, seen only when the answer arrives. */
export type Outcome<T> = { value: T | Promise<T> } | { error: unknown };

export interface Limit {
  ms: number;
  error(): unknown;
}

/**
 * An effect of one instance on the outside: a request that travels, is performed, and an answer
 * that travels back. Between any two of these the instance can die or sleep; what was performed
 * stays performed.
 */
export type Effect = <T>(label: string, perform: () => Outcome<T>, limit: Limit) => Promise<T>;

/** What strikes an instance at an effect: death before or after it, or a long sleep after it. */
export type Strike = "dies_before" | "dies_after" | "sleeps_after";

/** Where nothing is left to chance, an effect can also fail, or its answer get lost. */
export type Blow = Strike | "is_refused" | "answer_lost";

/** What an instance waits for, and how to go on with it. */
export interface Waiting {
  readonly instance: Instance;
  readonly label: string;
  /** Nothing can strike it: it is only time that has to pass. */
  readonly isSleep: boolean;
  goOn(blow: Blow | undefined): void;
}

/** Decides what happens next while time stands still, where it does not happen in its time. */
export interface Director {
  isUnderWay(): boolean;
  add(waiting: Waiting): void;
  /** What an instance was told. */
  onAnswer(instance: Instance, label: string, outcome: Outcome<unknown>): void;
  chooseInstance(instances: readonly Instance[]): Instance | undefined;
}

/** Asked at each effect that a living instance performs. */
export interface Plan {
  strikeAt(label: string): Strike | undefined;
  hasStruck(): boolean;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** A request that was on its way when its instance died arrives all the same, or does not. */
const ARRIVES_AFTER_DEATH = 0.5;
/** A sleep that is planned is longer than any run, and than Pub/Sub waits for an answer. */
const PLANNED_SLEEP_MINUTES = 15;

export function createEffect(world: World, instance: Instance, crash: () => void): Effect {
  const { scheduler, count } = world;
  const random = world.random("effects");

  /** Where repeats are counted, nothing may happen between the list of due users and its use. */
  function isSnapshot(label: string): boolean {
    return world.parameters.family === "calm" && label.startsWith("users.listDue");
  }

  function latency(): number {
    if (random.chance(world.rates.slow)) return random.between(SECOND, world.parameters.slowMsMax);
    return random.chance(0.1) ? random.between(40, SECOND) : random.between(1, 40);
  }

  function arrives(label: string, planned: Strike | undefined): boolean {
    if (instance.isDead) return random.chance(ARRIVES_AFTER_DEATH);
    if (planned !== "dies_before" && !random.chance(world.rates.crash)) return true;
    count("crash before an effect");
    world.trace(() => `${instance.name} ${label}: dies before it`);
    crash();
    return false;
  }

  /** The effect happens now, and its answer comes at once. */
  function goOn<T>(
    blow: Blow | undefined,
    perform: () => Outcome<T>,
    limit: Limit,
    settle: (outcome: Outcome<T>) => void,
  ): void {
    if (blow === "dies_before") return crash();
    if (blow === "is_refused") return settle({ error: limit.error() });
    const outcome = perform();
    if (blow === "dies_after") return crash();
    if (blow === "answer_lost") return settle({ error: limit.error() });
    if (blow !== "sleeps_after") return settle(outcome);
    freeze(world, instance, PLANNED_SLEEP_MINUTES);
    wake(world, instance, scheduler.now(), () => settle(outcome));
  }

  return <T>(label: string, perform: () => Outcome<T>, limit: Limit) =>
    new Promise<T>((resolve, reject) => {
      const { director } = world;
      if (director?.isUnderWay() === true) {
        const settled = (outcome: Outcome<T>) => {
          director.onAnswer(instance, label, outcome);
          settle(outcome);
        };
        director.add({
          instance,
          label,
          isSleep: false,
          goOn: (blow) => goOn(blow, perform, limit, settled),
        });
        return;
      }
      const sentAt = scheduler.now();
      const there = latency();
      const back = isSnapshot(label) ? 0 : latency();
      const isTooLate = there + back > limit.ms;

      function settle(outcome: Outcome<T>): void {
        const isError = "error" in outcome;
        world.trace(() => `${instance.name} ${label}: ${isError ? "fails" : "answers"}`);
        if (isError) reject(outcome.error);
        else resolve(outcome.value);
      }

      scheduler.quietly(sentAt + there, () => {
        const planned = instance.isDead ? undefined : world.plan?.strikeAt(label);
        if (!arrives(label, planned)) return;
        const outcome = perform();
        if (instance.isDead) return;
        if (planned === "dies_after" || random.chance(world.rates.crash)) {
          count("crash after an effect");
          world.trace(() => `${instance.name} ${label}: dies after it`);
          crash();
          return;
        }
        if (planned === "sleeps_after") freeze(world, instance, PLANNED_SLEEP_MINUTES);
        else if (random.chance(world.rates.freeze)) freeze(world, instance, random.between(1, 10));
        if (!isTooLate) wake(world, instance, scheduler.now() + back, () => settle(outcome));
      });
      if (isTooLate) {
        wake(world, instance, sentAt + limit.ms, () => settle({ error: limit.error() }));
      }
    });
}

/** Schedules what reaches an instance: never once it is dead, later while it sleeps. */
function wake(world: World, instance: Instance, time: number, act: () => void): void {
  world.scheduler.at(time, () => {
    if (instance.isDead) return;
    if (instance.frozenUntil > world.scheduler.now()) {
      wake(world, instance, instance.frozenUntil, act);
    } else act();
  });
}

function freeze(world: World, instance: Instance, minutes: number): void {
  instance.frozenUntil = world.scheduler.now() + minutes * MINUTE;
  instance.wasFrozen = true;
  world.count("instance frozen");
  world.trace(() => `${instance.name} sleeps for ${minutes.toFixed(1)} minutes`);
}

/** The clock of one instance, which is not quite right. */
export function createClock(world: World, instance: Instance): Clock {
  const { scheduler } = world;
  return {
    now: () => new Date(Math.round(scheduler.now()) + instance.skewMs),
    sleep: (ms) =>
      new Promise((resolve) => {
        const { director } = world;
        if (director?.isUnderWay() === true) {
          director.add({ instance, label: `sleep ${ms}`, isSleep: true, goOn: () => resolve() });
          return;
        }
        if (ms === 1_000 || ms === 2_000 || ms === 4_000) world.count("lag waited out");
        wake(world, instance, scheduler.now() + ms, resolve);
      }),
  };
}
