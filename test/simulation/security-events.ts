import { CLIENT, type SimulatedGoogle } from "./google.ts";
import type { End, Fleet } from "./fleet.ts";
import type { Person } from "./persons.ts";
import type { World } from "./world.ts";

/** Google's Cross-Account Protection: tells what has happened, soon or late, once or more often. */
export interface SecurityEvents {
  tokensRevoked(person: Person): void;
  accountDisabled(person: Person): void;
  accountEnabled(person: Person): void;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const TRIES_MAX = 6;

export function createSecurityEvents(
  world: World,
  { fleet, google, url }: { fleet: Fleet; google: SimulatedGoogle; url: string },
): SecurityEvents {
  const { scheduler } = world;
  const random = world.random("security-events");

  function post(body: string, tries = 1): void {
    const ended = (end: End<number>) => {
      const isAccepted = end.kind === "resolved" && end.value === 202;
      if (isAccepted || tries === TRIES_MAX) return;
      const waitMs = random.between(10 * SECOND, 10 * MINUTE) * tries;
      scheduler.at(scheduler.now() + waitMs, () => post(body, tries + 1));
    };
    fleet.invoke(
      "securityEvent",
      "security event",
      async ({ securityEvent, http }) => {
        const request = new Request(url, { method: "POST", body });
        return (await securityEvent(request, http.log, "")).status;
      },
      ended,
    );
  }

  function send(type: string, { sub }: Person): void {
    const token = google.model.securityEvent({
      type,
      audience: CLIENT.clientId,
      account: sub,
    });
    world.trace(() => `${sub.slice(-4)} security event ${type}`);
    // At once, when the person has perhaps allowed access again, or in the middle of that.
    const copies = random.pick([0, 1, 1, 2, 3]);
    for (let copy = 0; copy < copies; copy++) {
      const delayMs = random.pick([2 * SECOND, MINUTE, 20 * MINUTE, 120 * MINUTE]);
      scheduler.at(scheduler.now() + random.between(0, delayMs), () => post(token));
    }
  }

  return {
    tokensRevoked: (person) => send("oauth/event-type/tokens-revoked", person),
    accountDisabled: (person) => send("risc/event-type/account-disabled", person),
    accountEnabled: (person) => send("risc/event-type/account-enabled", person),
  };
}
