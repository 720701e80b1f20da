import type { Receiver } from "../../functions/src/receiver.ts";
import { type Effect, createEffect } from "./effects.ts";
import type { World } from "./world.ts";

/** One instance of the functions: its own memory, its own clock. */
export interface Instance {
  readonly name: string;
  /** None of its promises ever settles again; what it wrote stays. */
  isDead: boolean;
  /** What reaches it is held back until then. */
  frozenUntil: number;
  /** It has slept through something, and may not know what has happened since. */
  wasFrozen: boolean;
  readonly skewMs: number;
  readonly receiver: Receiver;
  readonly invocations: Set<Invocation>;
}

export interface Invocation {
  readonly name: string;
  readonly startedAt: number;
  ended(end: End<unknown>): void;
}

export type End<T> =
  | { kind: "resolved"; value: T }
  | { kind: "rejected"; error: unknown }
  /** The instance died: nobody will ever know. */
  | { kind: "lost" };

export interface Fleet {
  readonly instances: readonly Instance[];
  /** Calls a handler on one of the instances. */
  invoke<T>(
    name: string,
    run: (receiver: Receiver) => Promise<T>,
    ended: (end: End<T>) => void,
  ): Instance;
}

/** Instances that come and go; `equip` makes the receiver of a new one. */
export function createFleet(
  world: World,
  equip: (instance: Instance, effect: Effect) => Receiver,
): Fleet {
  const random = world.random("fleet");
  const instances: Instance[] = [];
  let serial = 0;

  function start(): Instance {
    serial += 1;
    const { skewMsMax } = world.parameters;
    const instance: Omit<Instance, "receiver"> & { receiver?: Receiver } = {
      name: `i${serial}`,
      isDead: false,
      frozenUntil: 0,
      wasFrozen: false,
      skewMs: Math.round(random.between(-skewMsMax, skewMsMax)),
      invocations: new Set(),
    };
    const started = instance as Instance;
    instance.receiver = equip(
      started,
      createEffect(world, started, () => crash(started)),
    );
    return started;
  }

  function crash(instance: Instance): void {
    instance.isDead = true;
    world.trace(() => `${instance.name} dies`);
    instances[instances.indexOf(instance)] = start();
    for (const invocation of instance.invocations) invocation.ended({ kind: "lost" });
  }

  for (let index = 0; index < world.parameters.instances; index++) instances.push(start());

  function choose(): Instance {
    const awake = instances.filter(({ frozenUntil }) => frozenUntil <= world.scheduler.now());
    return random.some(awake) ?? random.some(instances) ?? start();
  }

  return {
    instances,

    invoke(name, run, ended) {
      const instance = choose();
      const { invocations } = instance;
      const invocation: Invocation = {
        name,
        startedAt: world.scheduler.now(),
        ended(end) {
          if (!invocations.delete(invocation)) return;
          world.trace(() => `${instance.name} ${name} ${end.kind}`);
          ended(end as Parameters<typeof ended>[0]);
        },
      };
      invocations.add(invocation);
      world.trace(() => `${instance.name} ${name} begins`);
      run(instance.receiver).then(
        (value) => invocation.ended({ kind: "resolved", value }),
        (error: unknown) => invocation.ended({ kind: "rejected", error }),
      );
      return instance;
    },
  };
}
