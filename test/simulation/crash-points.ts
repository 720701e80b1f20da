import type { Status } from "../../functions/src/domain/user.ts";
import { type Flow, type Scene, calmParameters } from "./crash-flows.ts";
import type { Strike } from "./effects.ts";
import type { Person } from "./persons.ts";
import { type Result, simulate } from "./simulate.ts";

/** One effect of a flow, and what strikes the instance that performs it. */
export interface CrashPoint {
  /** Of the effect, from 1 on. */
  number: number;
  label: string;
  strike: Strike;
}

export interface Played {
  result: Result;
  /** The labels of the flow's effects, in the order in which they were performed. */
  effects: string[];
  /** The effect at which the instance was struck. */
  struck: string | undefined;
  ending: Ending;
}

/** What has become of the person's connection. */
export interface Ending {
  wants: Person["wants"];
  status: Status | undefined;
  /** Refresh tokens that Google still takes, of a person who wants none. */
  unwantedTokens: number;
}

const MINUTE = 60_000;
const SEED = 1;
const STRIKES: readonly Strike[] = ["dies_before", "dies_after", "sleeps_after"];
/** How long a person looks at a page that does not come. */
const PATIENCE_MS = 3 * MINUTE;

/** Plays a flow in a new world; the same every time, up to where something strikes. */
export async function play(
  flow: Flow,
  point?: Pick<CrashPoint, "number" | "strike">,
  isTraced = false,
): Promise<Played> {
  const effects: string[] = [];
  let struck: string | undefined;
  let isUnderWay = () => false;
  let tryAgain = () => {};
  let ending = (): Ending | undefined => undefined;

  const result = await simulate(SEED, {
    isTraced,
    adjust: (derived) => calmParameters(derived, flow),
    direct(stage) {
      const { scheduler } = stage.world;
      const [person] = stage.persons.all;
      if (person === undefined) throw new Error("nobody has a mailbox");
      const start = scheduler.now();
      const from = start + flow.from * MINUTE;
      const upTo = start + flow.upTo * MINUTE;
      isUnderWay = () => from <= scheduler.now() && scheduler.now() < upTo;
      const scene: Scene = {
        ...stage,
        person,
        at: (minute, act) => scheduler.at(start + minute * MINUTE, act),
      };
      tryAgain = () => scheduler.at(scheduler.now() + PATIENCE_MS, () => flow.tryAgain?.(scene));
      ending = () => endingOf(scene);
      flow.play(scene);
    },
    plan: {
      strikeAt(label) {
        if (!isUnderWay()) return undefined;
        effects.push(label);
        if (effects.length !== point?.number) return undefined;
        struck = label;
        tryAgain();
        return point.strike;
      },
      hasStruck: () => struck !== undefined,
    },
  });
  const ended = ending();
  if (ended === undefined) throw new Error("nothing was directed");
  return { result, effects, struck, ending: ended };
}

function endingOf({ person, google, store }: Scene): Ending {
  const { wants, sub } = person;
  const status = store.stored().find(({ id }) => id === sub)?.status;
  const { refreshTokens } = google.model.account(sub);
  return { wants, status, unwantedTokens: wants === "connected" ? 0 : refreshTokens.length };
}

/** Everything that can strike at each of these effects. */
export function crashPointsOf(effects: readonly string[]): CrashPoint[] {
  return effects.flatMap((label, index) =>
    STRIKES.map((strike) => ({ number: index + 1, label, strike })),
  );
}

/** How often each event was published and each mail sent, what came once left out. */
export function repeatsOf({ published, mails }: Result): Map<string, number> {
  const counts = new Map<string, number>();
  const events = published.map(({ attributes }) => attributes["ce-id"] ?? "");
  const notices = mails.map(({ notice: { userId, generation, number } }) =>
    ["mail", userId, generation, number].join("/"),
  );
  for (const id of [...events, ...notices]) counts.set(id, (counts.get(id) ?? 0) + 1);
  return new Map([...counts].filter(([, count]) => count > 1));
}
