import { CLIENT } from "./google.ts";
import type { Person } from "./persons.ts";
import { type Operated, startOperatorActs } from "./operator-acts.ts";
import { type People, startRudeIncidents } from "./rude-incidents.ts";
import type { SecurityEvents } from "./security-events.ts";
import type { Outages, World } from "./world.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** More than the head of a mailbox ever rises in a run; a rewind goes further back. */
const REWIND = 10_000_000n;

export interface Incidents {
  /** Ends everything that is still going on. */
  end(): void;
}

/** What happens to the world between two times: each incident strikes now and then, or never. */
export function startIncidents(
  world: World,
  {
    securityEvents,
    operated,
    ...people
  }: People & { securityEvents: SecurityEvents; operated: Operated },
  gmailTopic: string,
  [from, upTo]: readonly [number, number],
): Incidents {
  const { google, checks, persons } = people;
  const { scheduler, parameters, count } = world;
  const { incidents } = parameters;
  const { model } = google;
  const random = world.random("incidents");
  const endings = new Set<() => void>();

  /** Poisson's number of times would do no better. */
  function strike(mean: number, act: (person: Person) => void, draws = random): void {
    const times = Math.floor(mean) + (draws.chance(mean % 1) ? 1 : 0);
    for (let index = 0; index < times; index++) {
      scheduler.at(draws.between(from, upTo), () => {
        const person = draws.some(persons.all);
        if (person !== undefined && !world.isHealing) act(person);
      });
    }
  }

  function last(ms: number, end: () => void): void {
    endings.add(end);
    scheduler.at(scheduler.now() + ms, () => {
      if (endings.delete(end)) end();
    });
  }

  strike(incidents.historyExpires, ({ sub }) => {
    const { history, historyId: head } = model.account(sub);
    const recent = history.slice(-8).filter(({ id }) => BigInt(id) <= BigInt(head));
    const some = random.chance(0.5) ? random.some(recent)?.id : undefined;
    model.expireHistory(sub, some);
    count("history expired");
    world.trace(() => `${sub.slice(-4)} history expired up to ${some ?? "the head"}`);
  });
  strike(incidents.headRewinds, ({ sub }) => {
    const to = BigInt(model.account(sub).historyId) - REWIND;
    model.rewindHead(sub, String(to));
    // Otherwise the epoch would not show in the truth before the next record.
    model.deliver(sub);
    checks.touched(sub);
    checks.rewound(sub);
    count("head rewound");
    world.trace(() => `${sub.slice(-4)} head back to ${to}`);
  });

  strike(incidents.grantEnds, (person) => {
    const { sub } = person;
    const end = random.pick([model.changePassword, model.revokeAccess, model.expireRefreshTokens]);
    end(sub);
    google.endTokens(sub);
    if (parameters.securityEvents === true) securityEvents.tokensRevoked(person);
    count("grant ended");
    world.trace(() => `${sub.slice(-4)} grant ended`);
  });
  if (parameters.allGrantsEnd === true) {
    scheduler.at((from + upTo) / 2, () => {
      world.trace(() => "every grant ends");
      for (const { sub } of persons.all) {
        model.changePassword(sub);
        google.endTokens(sub);
        // So that all of them are noticed at once.
        model.deliver(sub);
        checks.touched(sub);
      }
    });
  }
  strike(incidents.accessTokensEnd, ({ sub }) => model.expireAccessTokens(sub));
  strike(incidents.mailOff, (person) => {
    const { sub } = person;
    model.setMailService(sub, "off");
    if (parameters.securityEvents === true) securityEvents.accountDisabled(person);
    checks.troubled(sub, "mail", true);
    count("mail switched off");
    world.trace(() => `${sub.slice(-4)} mail off`);
    last(random.between(5 * MINUTE, 3 * HOUR), () => {
      model.setMailService(sub, "on");
      checks.troubled(sub, "mail", false);
      if (parameters.securityEvents === true) securityEvents.accountEnabled(person);
    });
  });
  strike(incidents.adminBlocks, ({ sub }) => {
    model.enforceAdminPolicy(sub, true);
    checks.troubled(sub, "admin", true);
    count("admin blocked");
    world.trace(() => `${sub.slice(-4)} blocked by the administrator`);
    last(random.between(5 * MINUTE, HOUR), () => {
      model.enforceAdminPolicy(sub, false);
      checks.troubled(sub, "admin", false);
    });
  });
  strike(incidents.disconnects, (person) => persons.disconnect(person, scheduler.now()));

  strike(incidents.wrongSecret, () => {
    model.setClientSecret(CLIENT.clientId, "GOCSPX-another-client-secret");
    // As if nobody had a valid access token left: otherwise it would not be noticed for an hour.
    for (const { sub } of persons.all) model.expireAccessTokens(sub);
    count("wrong client secret");
    world.trace(() => "the client secret is wrong");
    last(random.between(5 * MINUTE, 2 * HOUR), () =>
      model.setClientSecret(CLIENT.clientId, CLIENT.clientSecret),
    );
  });
  const clientDraws = world.random("client-incidents");
  const deploy = (isOtherClient: boolean) => {
    world.isOtherClient = isOtherClient;
    operated.fleet.deploy();
  };
  strike(
    incidents.otherClient,
    () => {
      deploy(true);
      for (const { sub } of persons.all) model.expireAccessTokens(sub);
      count("another client deployed");
      world.trace(() => "the functions are deployed with another client");
      last(clientDraws.between(5 * MINUTE, 5 * HOUR), () => deploy(false));
    },
    clientDraws,
  );
  strike(incidents.topicClosed, () => {
    model.setTopicPublishing(gmailTopic, "forbidden");
    count("gmail topic closed");
    last(random.between(5 * MINUTE, 3 * HOUR), () =>
      model.setTopicPublishing(gmailTopic, "allowed"),
    );
  });
  strike(incidents.apiDisabled, () => {
    model.setGmailApi("disabled");
    count("gmail api disabled");
    last(random.between(5 * MINUTE, 2 * HOUR), () => model.setGmailApi("enabled"));
  });
  strike(incidents.googleDown, () => outage("google", "google down"));
  strike(incidents.storeDown, () => outage("store", "store down"));
  strike(incidents.changesTopicClosed, () => outage("changesTopic", undefined));
  const mailDraws = world.random("mail-incidents");
  strike(incidents.mailServerDown, () => outage("mailServer", undefined, mailDraws), mailDraws);
  startRudeIncidents(world, people, { strike, last });
  startOperatorActs(world, { ...operated, ...people }, { strike, last });

  function outage(
    of: keyof Outages,
    situation: "google down" | "store down" | undefined,
    draws = random,
  ): void {
    world.outages[of] = true;
    if (situation !== undefined) count(situation);
    world.trace(() => `outage of ${of}`);
    last(draws.between(MINUTE, 40 * MINUTE), () => {
      world.outages[of] = false;
    });
  }

  return {
    end() {
      for (const end of endings) end();
      endings.clear();
    },
  };
}
