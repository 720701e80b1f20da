import { type MemoryUsers, memoryUsers } from "../support/memory-users.ts";
import { calmParameters } from "./crash-flows.ts";
import type { Blow, Director, Waiting } from "./effects.ts";
import type { Act, Scenario, Scene, Size } from "./explore-scenarios.ts";
import { type Footprint, footprintOf } from "./explore-order.ts";
import { nameOf } from "./explore-state.ts";
import type { Fleet, Instance } from "./fleet.ts";
import { simulate } from "./simulate.ts";
import type { Violation } from "./world.ts";

/** What was possible at one point of a run, and what was done. */
export interface Step {
  options: readonly string[];
  chosen: number;
}

/** One run of a small world. */
export interface Explored {
  steps: readonly Step[];
  /** It came to a state that was known, and ended there. */
  isCut: boolean;
  violation?: Violation;
}

/** One thing that is possible; no two of a point have the same label. */
export interface Option extends Footprint {
  label: string;
}

/** A point of a run at which something has to happen next. */
export interface Point {
  depth: number;
  options: readonly Option[];
  /** The name of the state that the world is in. */
  state(): string;
}

/**
 * Says which of the options happens; `undefined` ends the run there. Where nothing is possible, any
 * number lets it go on to its end.
 */
export type Choose = (point: Point) => number | undefined;

interface Playable extends Option {
  play(): void;
}

/** Every effect of one instance can be struck in each of these ways. */
const BLOWS: readonly Blow[] = [
  "dies_before",
  "dies_after",
  "is_refused",
  "answer_lost",
  "sleeps_after",
];
/** Nothing commutes with it. */
const ANYTHING: Footprint = { isBlow: false, reach: "anything" };
const SEED = 1;
const MINUTE = 60_000;
/** A run that comes here is going round in circles. */
const STEPS_MAX = 500;

/**
 * Plays a scenario until the world has come to rest, a promise is broken, or the choice ends it.
 * While a window is open, time stands still, an effect happens at once and so does its answer, and
 * nothing is left to chance. After the last window the simulation goes on without faults, and judges
 * the end as ever.
 */
export async function explore(scenario: Scenario, size: Size, choose: Choose): Promise<Explored> {
  const steps: Step[] = [];
  const waiting: Waiting[] = [];
  /** By instance, everything that it was told since the first window opened. */
  const told = new Map<Instance, string>();
  let acts: Act[] = [];
  let blows = size.blows;
  let isOpen = false;
  let isCut = false;
  const failures: unknown[] = [];
  let memory: MemoryUsers | undefined;

  const director: Director = {
    isUnderWay: () => isOpen,
    add: (one) => void waiting.push(one),
    onAnswer(instance, label, outcome) {
      const note = (...answer: unknown[]) =>
        void told.set(instance, nameOf(told.get(instance), label, answer));
      if ("error" in outcome) note("failed", outcome.error);
      else
        void Promise.resolve(outcome.value).then(note, (error: unknown) => note("failed", error));
    },
    // As Cloud Run does with one request at a time: another instance while there is one.
    chooseInstance: (instances) =>
      instances.find(({ invocations }) => invocations.size === 0) ?? instances[0],
  };

  const { violations } = await simulate(SEED, {
    endsAtViolation: true,
    director,
    // A blow may cost what the loss of an answer costs: a mail that is sent again.
    plan: { strikeAt: () => undefined, hasStruck: () => blows < size.blows },
    tame: (label, stream) =>
      label.startsWith("product") ? { ...stream, next: () => 0.5 } : stream,
    openUsers: (scheduler) =>
      (memory = memoryUsers({ now: () => new Date(Math.round(scheduler.now())) })),
    adjust: (derived) => ({
      ...calmParameters(derived, { upTo: 30, parameters: scenario.parameters ?? {} }),
      instances: size.instances,
      quietMs: 2 * 60 * MINUTE,
      idStepMax: 1,
      limitsCosts: false,
    }),
    direct(stage) {
      const [person] = stage.persons.all;
      if (person === undefined) throw new Error("nobody has a mailbox");
      const { scheduler } = stage.world;
      const start = scheduler.now();
      for (const { minute, open } of scenario.windows) {
        const scene: Scene = { ...stage, person, size };
        scheduler.at(start + minute * MINUTE, () => {
          const passed = pass(scene, open).catch((error: unknown) => {
            failures.push(error);
            scheduler.stop();
          });
          scheduler.hold(passed);
        });
      }
    },
  });
  for (const failure of failures) throw failure;
  const [violation] = violations;
  return { steps, isCut, ...(violation !== undefined && { violation }) };

  /** Lets everything happen that can happen in a window. */
  async function pass(scene: Scene, open: (scene: Scene) => Act[]): Promise<void> {
    const { scheduler } = scene.world;
    isOpen = true;
    acts = open(scene);
    while (!scheduler.isStopped()) {
      await new Promise((resolve) => void setImmediate(resolve));
      const options = optionsNow(scene);
      const state = () => stateOf(scene);
      const chosen = choose({ depth: steps.length, options, state });
      if (chosen === undefined) {
        isCut = true;
        scheduler.stop();
        break;
      }
      if (options.length === 0) break;
      if (steps.length >= STEPS_MAX) {
        scene.world.violate("P11", "too many effects: something goes round in circles");
        break;
      }
      const option = options[chosen];
      if (option === undefined)
        throw new Error("the same choices do not lead where they led before");
      steps.push({ options: options.map(({ label }) => label), chosen });
      option.play();
    }
    isOpen = false;
    // What sleeps wakes up after the window.
    for (const { instance, goOn } of waiting.splice(0)) {
      scheduler.at(instance.frozenUntil, () => {
        if (!instance.isDead) goOn(undefined);
      });
    }
  }

  /** First what is simplest: so the first of all is a run in which nothing goes wrong. */
  function optionsNow({ world, fleet }: Scene): Playable[] {
    const alive = waiting.filter(({ instance }) => !instance.isDead);
    waiting.splice(0, waiting.length, ...alive);
    const now = world.scheduler.now();
    const ready = alive
      .filter(({ instance }) => instance.frozenUntil <= now)
      .toSorted((a, b) => Number(a.isSleep) - Number(b.isSleep));
    const strike = (one: Waiting, blow?: Blow): Playable => ({
      label: [nameAmong(ready, one), blow].filter((part) => part !== undefined).join(" "),
      ...(isAnyoneOnPages(fleet) ? ANYTHING : footprintOf(one.instance.name, one.label, blow)),
      play() {
        if (blow !== undefined) blows -= 1;
        waiting.splice(waiting.indexOf(one), 1);
        one.goOn(blow);
      },
    });
    return [
      ...ready.map((one) => strike(one)),
      ...acts.map((each) => ({
        label: each.label,
        ...ANYTHING,
        play() {
          acts = acts.filter((other) => other !== each);
          const before = new Map(fleet.instances.map((it) => [it, it.invocations.size]));
          each.play();
          for (const instance of fleet.instances) {
            if (instance.invocations.size === before.get(instance)) continue;
            told.set(instance, nameOf(told.get(instance), each.label));
          }
        },
      })),
      ...(blows > 0 ? ready.filter(({ isSleep }) => !isSleep) : []).flatMap((one) =>
        BLOWS.map((blow) => strike(one, blow)),
      ),
    ];
  }

  /** Everything that decides what can happen from here on. */
  function stateOf({ world, fleet, google, published, person }: Scene): string {
    const now = world.scheduler.now();
    const known = new Set<string>();
    const firsts = published.filter(({ attributes }) => {
      const id = attributes["ce-id"] ?? "";
      return !known.has(id) && known.add(id);
    });
    return nameOf(
      now,
      blows,
      acts.map(({ label }) => label),
      waiting.map(({ instance, label }) => [instance.name, label]).sort(),
      fleet.instances.map((instance) => [
        instance.name,
        told.get(instance),
        instance.frozenUntil > now,
        [...instance.invocations].map(({ name }) => name),
      ]),
      memory?.dump().users,
      firsts.map(({ json }) => json),
      google.model.account(person.sub),
    );
  }
}

/** Tells apart what one instance waits for at the same time. */
function nameAmong(ready: readonly Waiting[], one: Waiting): string {
  const { instance, label } = one;
  const alike = ready.filter((other) => other.instance === instance && other.label === label);
  const place = alike.indexOf(one);
  return place === 0 ? `${instance.name} ${label}` : `${instance.name} ${label} (${place + 1})`;
}

/** The next page is requested as soon as one has come, from an instance that is idle at that time. */
function isAnyoneOnPages({ instances }: Fleet): boolean {
  const names = instances.flatMap(({ invocations }) => [...invocations].map(({ name }) => name));
  return names.some((name) => /^(GET|POST) /.test(name));
}
