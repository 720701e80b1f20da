import type { Stream } from "./random.ts";

/** Virtual time: nothing happens but what was scheduled, at its time. */
export interface Scheduler {
  now(): number;
  /** How many events there have been. */
  events(): number;
  /** `act` may resolve promises: whatever follows from that happens before the next event. */
  at(time: number, act: () => void): void;
  /** `act` resolves no promise, so nothing has to be waited for. */
  quietly(time: number, act: () => void): void;
  /** Time stands still until this has settled: work that is done outside of the simulation. */
  hold(work: Promise<unknown>): void;
  /** From now on nothing happens any more. */
  stop(): void;
  isStopped(): boolean;
  /** Lets time pass up to an instant. */
  runUntil(time: number): Promise<void>;
}

interface Event {
  time: number;
  /** Decides between events of one instant. */
  tie: number;
  isQuiet: boolean;
  act: () => void;
}

/** A run that comes here is going round in circles. */
const EVENTS_MAX = 400_000;

/** A scheduler over a heap of events; `ties` decides between simultaneous ones. */
export function createScheduler(
  start: number,
  ties: Stream,
  eventsMax: number = EVENTS_MAX,
): Scheduler {
  const heap: Event[] = [];
  let now = start;
  let events = 0;
  let held: Promise<unknown> | undefined;
  let isStopped = false;

  function add(time: number, isQuiet: boolean, act: () => void): void {
    if (!isStopped) push(heap, { time: Math.max(time, now), tie: ties.next(), isQuiet, act });
  }

  return {
    now: () => now,
    events: () => events,
    at: (time, act) => add(time, false, act),
    quietly: (time, act) => add(time, true, act),

    hold(work) {
      held = Promise.allSettled([held, work]);
    },

    stop() {
      heap.length = 0;
      isStopped = true;
    },
    isStopped: () => isStopped,

    async runUntil(time) {
      for (let first = heap[0]; first !== undefined && first.time <= time; first = heap[0]) {
        pop(heap);
        now = first.time;
        events += 1;
        if (events > eventsMax) throw new Error("too many events: something goes round in circles");
        first.act();
        if (held !== undefined) await held;
        held = undefined;
        if (!first.isQuiet) await new Promise((resolve) => void setImmediate(resolve));
      }
      now = Math.max(now, time);
    },
  };
}

function isBefore(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.tie < b.tie);
}

function push(heap: Event[], event: Event): void {
  let index = heap.length;
  heap.push(event);
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex];
    if (parent === undefined || !isBefore(event, parent)) break;
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    const [a, b] = [heap[left], heap[left + 1]];
    if (a === undefined) break;
    const isRight = b !== undefined && isBefore(b, a);
    const child = isRight ? b : a;
    if (!isBefore(child, last)) break;
    heap[index] = child;
    index = isRight ? left + 1 : left;
  }
  heap[index] = last;
}
