import {
  type Adoption,
  type OfferedGrant,
  adoptGrant,
} from "../../functions/src/connect/adoption.ts";
import { parseHistoryId } from "../../functions/src/domain/history-id.ts";
import type { Fleet } from "./fleet.ts";
import type { SimulatedGoogle } from "./google.ts";
import type { Person, Persons } from "./persons.ts";
import type { Commit } from "./store.ts";
import type { World } from "./world.ts";

/** An operator who imports the grants that people gave to another program. */
export interface Imports {
  /** Whether the person waits to be imported, and does not connect at the start. */
  isOffered(person: Person): boolean;
  onCommit(commit: Commit): void;
  checkFinally(): void;
}

/** One line of the operator's file, and what is known about it. */
interface Line {
  person: Person;
  offered: OfferedGrant & { historyId?: string };
  /** The tokens that Google issued in its place: those that arrived, and the one that is on disk. */
  replaced: Set<string>;
  /** What is on disk of it: the token of the file, and those that replaced it. */
  onDisk: string[];
  isDone: boolean;
  hasDied: boolean;
}

const MINUTE = 60_000;
/** Of the time of the faults, the part in which the file is imported for the first time. */
const EARLY = 0.5;
const RUNS_MAX = 200;

const NONE: Imports = { isOffered: () => false, onCommit: () => {}, checkFinally: () => {} };

/** Lets an operator import grants, again and again, until each line is done. */
export function startImports(
  world: World,
  services: {
    fleet: Fleet;
    google: SimulatedGoogle;
    persons: Persons;
    digestOf: (refreshToken: string) => string;
  },
  [from, upTo]: readonly [number, number],
): Imports {
  const { fleet, google, persons, digestOf } = services;
  const { scheduler, count, violate } = world;
  if (!world.parameters.rude.has("imported grants")) return NONE;
  const random = world.random("imports");
  const lines = persons.all.filter(() => random.chance(0.75)).map(offer);
  const digests = new Set(lines.map(({ offered }) => digestOf(offered.refreshToken)));

  for (const line of lines) {
    const at = random.between(from, from + EARLY * (upTo - from));
    for (const begins of random.chance(0.3) ? [at, at + random.between(0, 2_000)] : [at]) {
      scheduler.at(begins, () => void importUntilDone(line));
    }
    // The person may also connect, before the import or while it is under way.
    if (!random.chance(0.5)) continue;
    persons.connect(line.person, at + random.between(-40_000, 5_000));
  }

  function offer(person: Person): Line {
    const refreshToken = google.grantElsewhere(person.email);
    const historyId = parseHistoryId(google.model.account(person.sub).historyId);
    const isPlaceKnown = historyId !== undefined && random.chance(0.6);
    return {
      person,
      offered: { refreshToken, ...(isPlaceKnown && { historyId }) },
      replaced: new Set(),
      onDisk: [refreshToken],
      isDone: false,
      hasDied: false,
    };
  }

  async function importUntilDone(line: Line): Promise<void> {
    for (let runs = 0; runs < RUNS_MAX && !line.isDone; runs++) {
      const adoption = await importOnce(line);
      if (adoption === undefined) line.hasDied = true;
      note(line, adoption);
      if (line.isDone && !random.chance(0.5)) return;
      await pause(random.between(MINUTE, 20 * MINUTE));
    }
    // The same file once more, after everything is done. Whoever was erased is left out of it.
    if (line.person.wants === "connected") note(line, await importOnce(line));
  }

  /** `undefined` when the command died or failed. */
  function importOnce(line: Line): Promise<Adoption | undefined> {
    const { offered, replaced } = line;
    return new Promise((resolve) => {
      fleet.invoke(
        "connect",
        "operator imports",
        (_, { context }) => {
          // Later refreshes are of the stored grant.
          let isFirst = true;
          const oauth = {
            ...context.oauth,
            async refresh(token: string) {
              const answer = await context.oauth.refresh(token);
              const { refreshToken = token } = answer;
              if (isFirst && refreshToken !== token) replaced.add(refreshToken);
              isFirst = false;
              digests.add(digestOf(refreshToken));
              return answer;
            },
          };
          return adoptGrant(
            { ...offered, refreshToken: latest(line), replaced: line.onDisk.slice(0, -1) },
            { ...context, oauth },
            {
              pace: () => Promise.resolve(),
              async keepRotated(refreshToken) {
                line.onDisk.push(refreshToken);
                // The command's calls are the operator's wish, like those of an authorization.
                const token = google.tokens.get(refreshToken);
                if (token !== undefined) token.isOfAuthorization = true;
                count("replaced refresh token kept by an import");
              },
            },
          );
        },
        (end) => {
          if ([...replaced].some((token) => !line.onDisk.includes(token))) {
            violate("P1", `a refresh token of ${line.person.sub} arrived, and nothing keeps it`);
          }
          resolve(end.kind === "resolved" ? end.value : undefined);
        },
      );
    });
  }

  function latest({ onDisk, offered }: Line): string {
    return onDisk.at(-1) ?? offered.refreshToken;
  }

  function note(line: Line, adoption: Adoption | undefined): void {
    world.trace(() => `${line.person.sub.slice(-4)} import: ${JSON.stringify(adoption?.kind)}`);
    switch (adoption?.kind) {
      case "adopted":
        count("grant adopted by an import");
        line.isDone = true;
        return;
      case "adopted_before":
        if (line.hasDied && !line.isDone) count("import finished after it died");
        line.isDone = true;
        return;
      case "known":
        count("import met a person who had connected");
        line.isDone = true;
        return;
      case "refused":
        count("import refused a grant");
        line.isDone ||= !isLive(line);
        // As the command says: the person has to connect.
        if (line.isDone) persons.connect(line.person, scheduler.now() + 10 * MINUTE);
        return;
      case "failed":
      case undefined:
    }
  }

  function isLive(line: Line): boolean {
    return google.tokens.get(latest(line))?.endedAt === undefined;
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => scheduler.at(scheduler.now() + ms, resolve));
  }

  return {
    isOffered: (person) => lines.some((line) => line.person === person),

    onCommit({ kind, before, after }) {
      const line = lines.find(({ person }) => person.sub === after.id);
      if (line === undefined) return;
      const isOf = (user: typeof before) =>
        digests.has(user?.grant.refreshTokenDigests?.doubleHash ?? "");
      const isNew = before?.grant.generation !== after.grant.generation;
      if (before !== undefined && isNew && isOf(after) && !isOf(before)) {
        violate("P7", `an import replaces the grant of ${after.id}, who is ${before.status}`);
      }
      const { historyId } = line.offered;
      if (kind !== "create" || historyId === undefined || after.historyId === historyId) return;
      violate("P4", `${after.id} starts at ${after.historyId}; the import says ${historyId}`);
    },

    checkFinally() {
      for (const line of lines) {
        if (line.isDone || !isLive(line) || line.person.wants !== "connected") continue;
        violate("P11", `the grant of ${line.person.sub} lives, and no import adopts it`);
      }
    },
  };
}
