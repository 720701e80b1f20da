import type { Context } from "../../functions/src/context.ts";
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
  /** What an operator's command would act with. */
  readonly context: Context;
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

/** The deployed functions, which share no memory. */
export const SERVICES = [
  "gmailNotification",
  "watchRenewal",
  "mailboxReconciliation",
  "connect",
  "securityEvent",
] as const;

export type Service = (typeof SERVICES)[number];

export interface Fleet {
  readonly instances: readonly Instance[];
  /** New instances take over; the old ones end what they have begun. */
  deploy(): void;
  /** Calls a handler on one of the instances of its function. */
  invoke<T>(
    service: Service,
    name: string,
    run: (receiver: Receiver, instance: Instance) => Promise<T>,
    ended: (end: End<T>) => void,
  ): Instance;
}

/** Instances that come and go; `equip` makes the receiver of a new one. */
export function createFleet(
  world: World,
  equip: (instance: Instance, effect: Effect) => { receiver: Receiver; context: Context },
): Fleet {
  const random = world.random("fleet");
  const { parameters } = world;
  const instances: Instance[] = [];
  /** Instances by function; all functions share one list unless the world is rude. */
  const lists = new Map<Service, Instance[]>();
  let serial = 0;

  function start(): Instance {
    serial += 1;
    const { skewMsMax } = parameters;
    const instance: Omit<Instance, "receiver" | "context"> = {
      name: `i${serial}`,
      isDead: false,
      frozenUntil: 0,
      wasFrozen: false,
      skewMs: Math.round(random.between(-skewMsMax, skewMsMax)),
      invocations: new Set(),
    };
    const started = instance as Instance;
    const effect = createEffect(world, started, () => crash(started));
    return Object.defineProperties(
      started,
      Object.getOwnPropertyDescriptors(equip(started, effect)),
    );
  }

  function crash(instance: Instance): void {
    instance.isDead = true;
    world.trace(() => `${instance.name} dies`);
    replace(instance);
    for (const invocation of instance.invocations) invocation.ended({ kind: "lost" });
  }

  function replace(instance: Instance): void {
    const started = start();
    for (const list of new Set([instances, ...lists.values()])) {
      const index = list.indexOf(instance);
      if (index >= 0) list[index] = started;
    }
  }

  function startAll(): Instance[] {
    return Array.from({ length: parameters.instances }, start);
  }

  if (parameters.rude.has("five services")) {
    for (const service of SERVICES) lists.set(service, startAll());
    world.count("five services, each with its own instances");
  } else {
    const shared = startAll();
    for (const service of SERVICES) lists.set(service, shared);
  }
  instances.push(...new Set([...lists.values()].flat()));

  function choose(service: Service): Instance {
    const own = lists.get(service) ?? instances;
    const awake = own.filter(({ frozenUntil }) => frozenUntil <= world.scheduler.now());
    const { director } = world;
    if (director?.isUnderWay() === true) return director.chooseInstance(awake) ?? start();
    return random.some(awake) ?? random.some(own) ?? start();
  }

  return {
    instances,

    deploy() {
      for (const instance of instances) replace(instance);
    },

    invoke(service, name, run, ended) {
      const instance = choose(service);
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
      run(instance.receiver, instance).then(
        (value) => invocation.ended({ kind: "resolved", value }),
        (error: unknown) => invocation.ended({ kind: "rejected", error }),
      );
      return instance;
    },
  };
}
