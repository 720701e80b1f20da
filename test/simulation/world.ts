import type { Counters } from "./counters.ts";
import type { Director, Plan } from "./effects.ts";
import { NO_RATES, type Parameters, type Rates } from "./parameters.ts";
import type { Stream } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** Everything that goes wrong for a while, for everybody alike. */
export interface Outages {
  google: boolean;
  store: boolean;
  changesTopic: boolean;
  mailServer: boolean;
}

/** What all parts of a simulated run share. */
export interface World {
  readonly parameters: Parameters;
  readonly scheduler: Scheduler;
  readonly random: (label: string) => Stream;
  readonly count: Counters["count"];
  /** The faults of this moment; none once the healing has begun. */
  rates: Rates;
  readonly outages: Outages;
  /** Instances that start now are configured with the OAuth client of another environment. */
  isOtherClient: boolean;
  isHealing: boolean;
  /** Without it only chance strikes. */
  readonly plan?: Plan;
  /** Without it everything happens in its time. */
  readonly director?: Director;
  trace(line: () => string): void;
  /** Notes that a promise was broken. The run goes on, so that the trace shows what follows. */
  violate(property: string, what: string): void;
}

export interface Violation {
  property: string;
  what: string;
  at: number;
}

/** Ends every fault that is drawn by chance, and every outage. */
export function endFaults(world: World): void {
  world.isHealing = true;
  world.rates = NO_RATES;
  world.outages.google = false;
  world.outages.store = false;
  world.outages.changesTopic = false;
  world.outages.mailServer = false;
}
