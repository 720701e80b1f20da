import type { Context } from "../../functions/src/context.ts";
import { type User, parseUserId } from "../../functions/src/domain/user.ts";
import { forget } from "../../functions/src/grant/forget.ts";
import { pause } from "../../functions/src/grant/pause.ts";
import { resume } from "../../functions/src/mailbox/resume.ts";
import { snapshotNow } from "../../infra/cli/mailboxes/actions.ts";
import type { Fleet } from "./fleet.ts";
import type { Person } from "./persons.ts";
import type { SimulatedTopic } from "./publisher.ts";
import type { Stream } from "./random.ts";
import { type People, REFUSALS, type Striking } from "./rude-incidents.ts";
import type { SimulatedStore } from "./store.ts";
import type { World } from "./world.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
const COPY_EVERY_MS = HOUR;
/** The same command again finishes what was left. */
const FORGET_TRIES_MAX = 60;
const RESUME_TRIES_MAX = 60;

/** What an operator reaches. */
export interface Operated {
  fleet: Fleet;
  store: SimulatedStore;
  topic: SimulatedTopic;
}

/** What an operator does to documents, and what happens to them otherwise. */
export function startOperatorActs(
  world: World,
  { fleet, store, topic, google, checks, persons, rewinds, snapshots }: Operated & People,
  { strike, last }: Striking,
): void {
  const { scheduler, parameters, count } = world;
  const { rude } = parameters;
  const random = world.random("operator");
  /** Older versions of documents, as a backup has them. */
  const copies: { at: number; user: User }[] = [];

  if (rude.has("restored documents")) {
    copy();
    strike(1.5, restore, random);
  }
  if (rude.has("edited documents")) strike(2, edit, random);
  if (rude.has("forgotten users")) strike(1.2, (person) => void forgetPerson(person), random);
  if (rude.has("unreadable documents")) {
    strike(
      1.2,
      ({ sub }) => {
        const id = parseUserId(sub);
        if (id === undefined || userOf(sub)?.status !== "active") return;
        store.setReadable(id, false);
        count("document that cannot be decoded");
        world.trace(() => `${sub.slice(-4)} the document cannot be decoded`);
        checks.unreachable(sub, true);
        last(random.between(10 * MINUTE, 12 * HOUR), () => {
          store.setReadable(id, true);
          checks.unreachable(sub, false);
          world.trace(() => `${sub.slice(-4)} the document can be decoded again`);
        });
      },
      random,
    );
  }
  if (rude.has("turns that throw")) {
    strike(
      1.2,
      ({ sub }) => {
        topic.throwing.add(sub);
        count("mailbox whose every turn throws");
        world.trace(() => `${sub.slice(-4)} publishing throws an error of ours`);
        last(random.between(10 * MINUTE, 12 * HOUR), () => topic.throwing.delete(sub));
      },
      random,
    );
  }

  if (rude.has("snapshots")) {
    const draws = world.random("snapshots");
    strike(1.5, ({ sub }) => void askForSnapshot(sub, draws), draws);
  }
  if (rude.has("refused snapshots")) {
    const refusals = world.random("refused snapshots");
    strike(2, ({ sub }) => void refuseSnapshot(sub, refusals), refusals);
  }
  if (rude.has("paused mailboxes")) {
    const pauses = world.random("pauses");
    strike(2, (person) => void pausePerson(person, pauses), pauses);
  }

  function userOf(sub: string): User | undefined {
    const id = parseUserId(sub);
    return id === undefined ? undefined : store.storedUser(id);
  }

  function copy(): void {
    if (world.isHealing) return;
    copies.push(...store.stored().map((user) => ({ at: scheduler.now(), user })));
    scheduler.quietly(scheduler.now() + COPY_EVERY_MS, copy);
  }

  function restore({ sub }: Person): void {
    const user = userOf(sub);
    const fitting = copies.filter(
      ({ at, user: { id, status, grant } }) =>
        id === sub &&
        status === "active" &&
        grant.generation === user?.grant.generation &&
        at > rewinds.rewoundAt(sub),
    );
    const old = random.some(fitting)?.user;
    if (user?.status !== "active" || old === undefined) return;
    const { historyId, sync, watch } = old;
    count("document restored from a backup");
    checks.edited(sub);
    store.edit(user.id, { historyId, sync, watch });
  }

  function edit({ sub }: Person): void {
    const user = userOf(sub);
    if (user?.status !== "active") return;
    const patch = random.pick([unsettledBelow, dueNextYear, renewedNextYear])(user);
    count("document edited by hand");
    checks.edited(sub);
    store.edit(user.id, patch);
  }

  /** Positions at and below the cursor, which no run of ours would leave there. */
  function unsettledBelow({ historyId, sync }: User): { sync: User["sync"] } {
    const at = new Date(scheduler.now());
    const below = [String(BigInt(historyId) - 3n)] as User["historyId"][];
    if (random.chance(0.5)) below.push(historyId);
    return {
      sync: { ...sync, recent: [...below.map((it) => ({ historyId: it, at })), ...sync.recent] },
    };
  }

  function dueNextYear({ sync }: User): { sync: User["sync"] } {
    const dueAt = new Date(scheduler.now() + YEAR);
    return { sync: { ...sync, dueAt, dueReason: "quiet" } };
  }

  function renewedNextYear({ watch }: User): { watch: User["watch"] } {
    return { watch: { ...watch, renewAt: new Date(scheduler.now() + YEAR) } };
  }

  async function askForSnapshot(sub: string, draws: Stream): Promise<void> {
    const since = new Date(scheduler.now() - draws.between(0, 60) * DAY);
    const result = await command("asks for a snapshot", sub, (user, context) =>
      snapshotNow(user, since, context),
    );
    if (result?.isDone === true) count("snapshot requested by the operator");
  }

  /** Google refuses the lists of a mailbox of which a snapshot has begun. */
  async function refuseSnapshot(sub: string, draws: Stream): Promise<void> {
    const allow = google.model.refuse(sub, {
      method: "messages.list",
      preset: draws.pick(REFUSALS),
    });
    const allowSnapshot = snapshots.refused(sub);
    checks.troubled(sub, "mail", true);
    count("snapshot refused");
    world.trace(() => `${sub.slice(-4)} lists are refused`);
    const isLong = draws.chance(0.6);
    last(isLong ? draws.between(3 * DAY, 5 * DAY) : draws.between(HOUR, 3 * DAY), () => {
      allow();
      allowSnapshot();
      checks.troubled(sub, "mail", false);
      world.trace(() => `${sub.slice(-4)} lists are no longer refused`);
    });
    await askForSnapshot(sub, draws);
  }

  async function pausePerson(person: Person, draws: Stream): Promise<void> {
    const { sub } = person;
    if (userOf(sub)?.status !== "active") return;
    const runs = fleet.instances.flatMap(({ invocations }) => [...invocations]);
    await command("pauses", sub, (user, context) => pause(user, "operator_request", context));
    const paused = userOf(sub);
    if (paused?.status !== "paused") return;
    count("mailbox paused");
    if (runs.length > 0) count("mailbox paused while a run is under way");
    world.trace(() => `${sub.slice(-4)} is paused`);
    const ms = draws.between(MINUTE, 8 * HOUR);
    const during = scheduler.now() + draws.between(0, ms);
    if (draws.chance(0.3)) {
      scheduler.at(during, () => {
        if (userOf(sub)?.status === "paused") persons.connect(person, during);
      });
    } else if (draws.chance(0.2)) {
      persons.disconnect(person, during);
    }
    // Some are never resumed: what a pause owes must be done without that.
    if (draws.chance(0.8)) last(ms, () => void resumePerson(person));
  }

  async function resumePerson({ sub }: Person): Promise<void> {
    for (let tries = 0; tries < RESUME_TRIES_MAX; tries++) {
      if (userOf(sub)?.status !== "paused") return;
      const resumed = await command("resumes", sub, resume);
      if (userOf(sub)?.status === "active") count("mailbox resumed");
      const { outcome } = resumed?.kind === "resumed" ? resumed : {};
      if (outcome !== undefined && "changes" in outcome && outcome.changes > 0) {
        count("changes published after a pause");
      }
      world.trace(() => `${sub.slice(-4)} is resumed: ${resumed?.kind}`);
      await new Promise<void>((resolve) => scheduler.at(scheduler.now() + 2 * MINUTE, resolve));
    }
  }

  async function forgetPerson(person: Person): Promise<void> {
    const user = userOf(person.sub);
    if (user === undefined || person.isBusy || person.wants === "disconnected") return;
    person.wants = "disconnected";
    for (let tries = 0; tries < FORGET_TRIES_MAX; tries++) {
      const now = userOf(person.sub);
      if (now === undefined) break;
      const outcome = await command("forgets", now.id, forget);
      if (outcome?.kind === "forgotten" || outcome?.kind === "connected_again") break;
      await new Promise<void>((resolve) => scheduler.at(scheduler.now() + 2 * MINUTE, resolve));
    }
    if (userOf(person.sub) !== undefined) return;
    count("person forgotten");
    world.trace(() => `${person.sub.slice(-4)} is forgotten`);
    if (!random.chance(0.7)) return;
    person.wants = "connected";
    persons.connect(person, scheduler.now() + random.between(MINUTE, 3 * HOUR));
  }

  /** Runs a command in an instance of its own turn; `undefined` when it died or failed. */
  function command<T>(
    name: string,
    sub: string,
    run: (user: User, context: Context) => Promise<T>,
  ): Promise<T | undefined> {
    const id = parseUserId(sub);
    return new Promise((resolve) => {
      fleet.invoke(
        "connect",
        `operator ${name}`,
        async (_, { context }) => {
          const user = id === undefined ? undefined : await context.users.find(id);
          return user === undefined ? undefined : run(user, context);
        },
        (end) => resolve(end.kind === "resolved" ? end.value : undefined),
      );
    });
  }
}
