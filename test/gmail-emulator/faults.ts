import { EventEmitter, once } from "node:events";
import type { Answer } from "./answer.ts";
import { isMethod } from "./calls.ts";
import { answerOf, type Substitute } from "./presets.ts";

/** Which calls a fault hits. */
export interface Target {
  /** A method, or a group of them: see `isMethod`. */
  method: string;
  /** Only the calls of this account. */
  account?: string;
  /** How many of the next such calls; 1 unless said. */
  count?: number | "all";
  /** After Google has done what was asked, so that only the answer is lost; before it unless said. */
  afterEffect?: boolean;
}

export interface Failing extends Target, Substitute {}

export interface Hold {
  /** Resolves when the first call waits here. */
  readonly arrived: Promise<void>;
  /** Lets the waiting calls go on, and holds no more. */
  release(): void;
}

/** What is done to one call. Each part is `undefined` when nothing is. */
export interface Fate {
  readonly before: Mishap | undefined;
  readonly after: Mishap | undefined;
}

export interface Mishap {
  /** Waits until it may go on. */
  readonly wait: () => Promise<void>;
  /** Takes the place of Google's answer. */
  readonly instead: Answer | "drop" | undefined;
}

type Action =
  | { kind: "fail"; failing: Failing }
  | { kind: "drop" }
  | { kind: "delay"; ms: number }
  | { kind: "hold"; arrive: () => void; released: Promise<void> };

interface Fault {
  readonly target: Target;
  readonly action: Action;
  left: number;
}

export interface Faults {
  /** The next such calls fail with this answer: a preset's name, or status and body. */
  failNext(failing: Failing): void;
  /** The connection of the next such calls is cut, in place of an answer. */
  dropNext(target: Target): void;
  /** The next such calls take this much longer. */
  delayNext(target: Target & { ms: number }): void;
  /** Such calls wait until they are released: all of them, unless `count` says how many. */
  hold(method: string, options?: Omit<Target, "method">): Hold;
  /** Ends every fault and releases every call that waits. */
  clear(): void;
  /** Uses up what is in store for one call. */
  take(method: string, account: string | undefined): Fate;
}

/** Faults are what the server will do to the next calls. Clients are never touched. */
export function createFaults(now: () => number): Faults {
  let faults: Fault[] = [];
  const releases = new Set<() => void>();

  const add = (target: Target, action: Action, standard: number | "all" = 1) => {
    const { count = standard } = target;
    const fault = { target, action, left: count === "all" ? Number.POSITIVE_INFINITY : count };
    faults.push(fault);
    return fault;
  };

  return {
    failNext: (failing) => void add(failing, { kind: "fail", failing }),
    dropNext: (target) => void add(target, { kind: "drop" }),
    delayNext: ({ ms, ...target }) => void add(target, { kind: "delay", ms }),
    hold(method, options = {}) {
      const arrival = gate();
      const release = gate();
      releases.add(release.open);
      const action = { kind: "hold", arrive: arrival.open, released: release.opened } as const;
      const fault = add({ ...options, method }, action, "all");
      return {
        arrived: arrival.opened,
        release() {
          fault.left = 0;
          releases.delete(release.open);
          release.open();
        },
      };
    },
    clear() {
      faults = [];
      for (const open of releases) open();
      releases.clear();
    },
    take(method, account) {
      const hits = faults.filter((fault) => fault.left > 0 && isHit(fault.target, method, account));
      // One call meets one failure or cut, however many are in store, and every delay and hold.
      const [breaking] = hits.filter(({ action }) => breaks(action));
      const met = hits.filter((fault) => fault === breaking || !breaks(fault.action));
      for (const fault of met) fault.left -= 1;
      faults = faults.filter((fault) => fault.left > 0);
      const mishap = (afterEffect: boolean) =>
        toMishap(
          met
            .filter(({ target }) => (target.afterEffect === true) === afterEffect)
            .map(({ action }) => action),
          now,
        );
      return { before: mishap(false), after: mishap(true) };
    },
  };
}

function isHit(target: Target, method: string, account: string | undefined): boolean {
  if (!isMethod(method, target.method)) return false;
  return target.account === undefined || target.account.toLowerCase() === account?.toLowerCase();
}

function breaks({ kind }: Action): boolean {
  return kind === "fail" || kind === "drop";
}

function toMishap(actions: Action[], now: () => number): Mishap | undefined {
  if (actions.length === 0) return undefined;
  const [breaking] = actions.filter(breaks);
  return {
    wait: async () => {
      await Promise.all(actions.map(waitFor));
    },
    instead: breaking === undefined ? undefined : toAnswer(breaking, now),
  };
}

async function waitFor(action: Action): Promise<void> {
  if (action.kind === "delay") {
    const { ms } = action;
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
  if (action.kind === "hold") {
    action.arrive();
    await action.released;
  }
}

function toAnswer(action: Action, now: () => number): Answer | "drop" {
  return action.kind === "fail" ? answerOf(action.failing, now()) : "drop";
}

/** A promise, and what resolves it. */
function gate(): { opened: Promise<void>; open: () => void } {
  const opener = new EventEmitter();
  const opened = once(opener, "open").then(() => undefined);
  return { opened, open: () => void opener.emit("open") };
}
