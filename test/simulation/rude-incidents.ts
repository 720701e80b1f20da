import type { Preset } from "../gmail-emulator/presets.ts";
import type { Checks } from "./checks.ts";
import type { DelayChecks } from "./delay-checks.ts";
import type { SimulatedGoogle } from "./google.ts";
import type { Person, Persons } from "./persons.ts";
import type { Stream } from "./random.ts";
import type { Rewinds } from "./rewinds.ts";
import type { SnapshotChecks } from "./snapshot-checks.ts";
import type { World } from "./world.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How an incident is brought about: on somebody, at times that chance decides. */
export interface Striking {
  strike(mean: number, act: (person: Person) => void, draws: Stream): void;
  /** Ends something after so long, or with the chaos. */
  last(ms: number, end: () => void): void;
}

/** Whom it happens to, and who looks on. */
export interface People {
  google: SimulatedGoogle;
  checks: Checks;
  persons: Persons;
  delays: DelayChecks;
  snapshots: SnapshotChecks;
  rewinds: Rewinds;
}

/** A mailbox that was rewound by no more grows past where it was. */
const GROWN_BY_MAX = 100n;
/** Calls that were seen to be refused to one mailbox for days, and how. */
const REFUSED_CALLS = ["history.list", "users.watch", "users.getProfile", "messages", "gmail"];
export const REFUSALS: readonly [Preset, ...Preset[]] = [
  "callerForbidden",
  "preconditionFailed",
  "backendError",
  "invalidArgument",
];
const TOKEN_CODES: readonly [Preset, ...Preset[]] = [
  "policyEnforced",
  "consentRequired",
  "userDisabled",
];

/** What happens to single mailboxes where the world is rude. */
export function startRudeIncidents(
  world: World,
  { google, checks, persons, delays, rewinds, snapshots }: People,
  { strike, last }: Striking,
): void {
  const { scheduler, parameters, count } = world;
  const { rude } = parameters;
  const { model } = google;
  const random = world.random("rude-incidents");
  const days = parameters.chaosMs > 2 * DAY ? 3 : 1;

  if (rude.has("rewinds of every size")) strike(1.5, rewind, random);

  if (rude.has("lost histories")) {
    strike(
      1 + random.next(),
      ({ sub }) => {
        model.setHistory(sub, "lost");
        count("history lost, the head included");
        world.trace(() => `${sub.slice(-4)} every start id is not found`);
        checks.lostHistory(sub, true);
        last(random.between(5 * MINUTE, 12 * HOUR), () => {
          model.setHistory(sub, "kept");
          checks.lostHistory(sub, false);
        });
      },
      random,
    );
  }

  if (rude.has("refused mailboxes")) {
    strike(
      1 + random.next() * days,
      ({ sub }) => {
        const method = random.some(REFUSED_CALLS) ?? "gmail";
        const preset = random.pick(REFUSALS);
        const allow = model.refuse(sub, { method, preset });
        count("mailbox refused");
        world.trace(() => `${sub.slice(-4)} ${method} refused: ${preset}`);
        checks.troubled(sub, "mail", true);
        const isOfHistory = method === "history.list" || method === "gmail";
        const allowSnapshot =
          method === "messages" || method === "gmail" ? snapshots.refused(sub) : undefined;
        // A cursor that is refused as malformed for long counts as expired: told as a gap each time.
        const isOfCursor = isOfHistory && preset === "invalidArgument";
        if (isOfHistory && !isOfCursor) delays.refused(sub, true);
        if (isOfCursor) {
          checks.lostHistory(sub, true);
          checks.unreachable(sub, true);
        }
        last(random.between(20 * MINUTE, days * 1.5 * DAY), () => {
          allow();
          allowSnapshot?.();
          delays.refused(sub, false);
          if (isOfCursor) {
            checks.lostHistory(sub, false);
            checks.unreachable(sub, false);
          }
          world.trace(() => `${sub.slice(-4)} ${method} no longer refused`);
          checks.troubled(sub, "mail", false);
        });
      },
      random,
    );
  }

  if (rude.has("unknown token codes")) {
    strike(
      1 + random.next(),
      ({ sub }) => {
        const preset = random.pick(TOKEN_CODES);
        const allow = model.refuse(sub, { method: "token.refresh", preset });
        model.expireAccessTokens(sub);
        count("refresh refused with a code that no list has");
        world.trace(() => `${sub.slice(-4)} refresh refused: ${preset}`);
        checks.troubled(sub, "admin", true);
        last(random.between(5 * MINUTE, 30 * HOUR), () => {
          allow();
          checks.troubled(sub, "admin", false);
        });
      },
      random,
    );
  }

  if (rude.has("bursts of 401")) {
    strike(
      2 * days,
      (person) => {
        const all = random.chance(0.3) ? persons.all : [person];
        count("burst of 401");
        const ms = random.chance(0.7)
          ? random.between(5 * SECOND, 3 * MINUTE)
          : random.between(3 * MINUTE, 40 * MINUTE);
        for (const { sub } of all) {
          world.trace(() => `${sub.slice(-4)} every call is a 401`);
          last(ms, model.refuse(sub, { method: "gmail", preset: "invalidCredentials" }));
        }
      },
      random,
    );
  }

  if (rude.has("invalid account states")) {
    strike(
      2 * days,
      ({ sub }) => {
        count("account state invalid, once");
        google.failOnce(sub, "accountStateInvalid");
      },
      random,
    );
  }

  if (rude.has("renames")) {
    strike(1 + random.next(), (person) => persons.rename(person), random);
  }
  if (rude.has("second spellings")) {
    for (const { sub, email } of persons.all) model.setMailAddress(sub, `other.${email}`);
    count("notifications under another spelling");
  }
  if (rude.has("moved addresses")) {
    strike(
      1,
      (person) => {
        const other = random.some(persons.all.filter((it) => it !== person));
        if (other !== undefined) persons.takeAddress(other, person);
      },
      random,
    );
  }

  /** The head goes back by anything from one id to all that it ever will rise. */
  function rewind({ sub }: Person): void {
    const by = BigInt(Math.round(10 ** random.between(0, 7)));
    if (!rewinds.rewind(sub, by)) return;
    count("head rewound by any number");
    if (by > GROWN_BY_MAX || !random.chance(0.7)) return;
    // Soon the ids of before are used once more.
    let left = Number(by) + 20;
    const grow = () => {
      if (left <= 0 || world.isHealing) return;
      const size = random.int(1, 8);
      if (!rewinds.mayChange(sub, size)) {
        scheduler.at(scheduler.now() + 5 * MINUTE, grow);
        return;
      }
      model.setIndexLag(sub, { kind: "none" });
      for (let index = 0; index < Math.min(size, left); index++) model.deliver(sub);
      left -= size;
      checks.touched(sub);
      scheduler.at(scheduler.now() + random.between(SECOND, 5 * MINUTE), grow);
    };
    scheduler.at(scheduler.now() + random.between(SECOND, 30 * MINUTE), grow);
  }
}
