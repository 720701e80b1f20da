import type { SeenEvents } from "../../functions/src/domain/seen-events.ts";
import type { CallbackClaims } from "../../functions/src/domain/callback-claims.ts";
import type { Clock } from "../../functions/src/domain/clock.ts";
import {
  type User,
  type UserId,
  type UserPatch,
  type UserStore,
  type UserVersion,
  patched,
} from "../../functions/src/domain/user.ts";
import { memoryCallbackClaims } from "../support/memory-callback-claims.ts";
import { memorySeenEvents } from "../support/memory-seen-events.ts";
import { type MemoryUsers, memoryUsers } from "../support/memory-users.ts";
import { askedBy } from "../support/read-times.ts";
import type { Effect, Limit, Outcome } from "./effects.ts";
import type { Instance } from "./fleet.ts";
import type { World } from "./world.ts";

/** One document written. */
export interface Commit {
  at: number;
  kind: "update" | "authorize" | "create";
  before: User | undefined;
  after: User;
  instance: Instance;
}

export interface SimulatedStore {
  /** What is stored now, for whoever looks without being seen. */
  stored(): readonly User[];
  storedUser(id: UserId): User | undefined;
  onCommit: (commit: Commit) => void;
  /** An operator changes a document, past every condition. */
  edit(id: UserId, patch: UserPatch): void;
  /** The document can no longer be decoded, or can again. */
  setReadable(id: UserId, isReadable: boolean): void;
  /** The changes that the Firestore sink has kept, by their ids. */
  keptChanges(id: UserId): ReadonlySet<string>;
  usersFor(instance: Instance, effect: Effect, clock: Clock): UserStore;
  seenEventsFor(effect: Effect): SeenEvents;
  callbackClaimsFor(effect: Effect): CallbackClaims;
}

const STORE_TIMEOUT_MS = 60_000;

/** The users in memory, behind the scheduler, with a store's faults. */
export function createSimulatedStore(
  world: World,
  memory: MemoryUsers = memoryUsers({ now: () => new Date(Math.round(world.scheduler.now())) }),
): SimulatedStore {
  const random = world.random("store-faults");
  const { count, scheduler } = world;
  const seenEvents = memorySeenEvents();
  const callbackClaims = memoryCallbackClaims();
  /** The same documents, to look at without reading. */
  const mirror = new Map<UserId, User>();
  const unreadable = new Set<UserId>();
  /** Whose write was refused last, to tell what came of it. */
  const losers = new Map<UserId, Instance>();
  const limit: Limit = { ms: STORE_TIMEOUT_MS, error: () => storeError(4) };

  const store: SimulatedStore = {
    stored: () => [...mirror.values()],
    storedUser: (id) => mirror.get(id),
    onCommit: () => {},

    edit(id, patch) {
      const before = mirror.get(id);
      if (before === undefined) return;
      const after = patched(before, patch);
      memory.overwrite(id, patch);
      mirror.set(id, after);
      world.trace(() => `EDITED ${describe(after)}`);
    },

    setReadable(id, isReadable) {
      if (isReadable) unreadable.delete(id);
      else unreadable.add(id);
    },

    keptChanges(id) {
      const own = memory.dump().changes[id] ?? [];
      return new Set(own.map((change) => change.id));
    },

    usersFor(instance, effect, clock) {
      const { read, write } = accessWith(effect);

      function conditional<T>(
        { id }: UserVersion,
        patch: UserPatch,
        perform: () => Promise<T>,
      ): Promise<T | "refused"> {
        return effect<T | "refused">(
          "users.update",
          () => {
            if (random.chance(world.rates.storeRefuses)) {
              count("write refused by contention");
              return { value: Promise.resolve("refused" as const) };
            }
            const performed = () => {
              const { writes } = memory.operations;
              const result = perform();
              const before = mirror.get(id);
              const isWritten = memory.operations.writes > writes && before !== undefined;
              if (isWritten) commit("update", before, patched(before, patch), instance);
              else lost(id, instance, patch);
              return { result, isWritten };
            };
            if (!isFailing() && random.chance(world.rates.storeAppliedRefused)) {
              count("write applied but refused");
              performed();
              return { value: Promise.resolve("refused" as const) };
            }
            return faulty(() => performed().result);
          },
          limit,
        );
      }

      const users: UserStore = {
        find: (id) => read("users.find", async () => legible(await memory.find(id))),
        exists: (id) => read("users.exists", () => memory.exists(id)),
        findByEmailAddress: (address) =>
          read("users.findByEmailAddress", async () =>
            legible(await memory.findByEmailAddress(address)),
          ),
        findByTokenDigest: (by, digests) =>
          read("users.findByTokenDigest", () => memory.findByTokenDigest(by, digests)),
        listByEmailAddress: (address) =>
          read("users.listByEmailAddress", () => memory.listByEmailAddress(address)),
        listDue: (list, range, max, after) =>
          read(`users.listDue ${list}`, async () => {
            const page = await memory.listDue(list, range, max, after);
            if (unreadable.size === 0) return page;
            return {
              ...page,
              users: page.users.filter(({ id }) => !unreadable.has(id)),
              unreadable: page.users.filter(({ id }) => unreadable.has(id)),
            };
          }),
        postpone: (list, { id, revision }, dueAt) =>
          write("users.postpone", () => {
            const user = mirror.get(id as UserId);
            if (user === undefined) return Promise.resolve("refused" as const);
            const [field, member] = list.split(".") as [keyof UserPatch, string];
            const patch: UserPatch = { [field]: { ...(user[field] as object), [member]: dueAt } };
            mirror.set(user.id, patched(user, patch));
            return memory.update({ id: user.id, revision }, patch).then(asWritten);
          }),
        listBehind: (range, max) => read("users.listBehind", () => memory.listBehind(range, max)),
        listAll: (after, max) => read("users.listAll", () => memory.listAll(after, max)),
        update: (user, patch, changes) =>
          conditional(user, patch, () => memory.update(user, patch, changes)),
        keepMissing: (user, changes) =>
          write("users.keepMissing", () => memory.keepMissing(user, changes)),
        noteFlagging: (id, at) => write("users.noteFlagging", () => memory.noteFlagging(id, at)),
        countFlaggings: (after) => read("users.countFlaggings", () => memory.countFlaggings(after)),
        countActive: () => read("users.countActive", () => memory.countActive()),
        readFleetGuard: () => read("users.readFleetGuard", () => memory.readFleetGuard()),
        writeFleetGuard: (state) =>
          write("users.writeFleetGuard", () => memory.writeFleetGuard(state)),
        authorize: (id, make) =>
          write("users.authorize", () => {
            const written: User[] = [];
            const result = memory.authorize(id, (stored, generation, times) => {
              const next = make(stored, generation, times);
              const { revision = "" as User["revision"] } = stored ?? {};
              // As it is stored: the checks look for due dates that an inactive user must not have.
              written.push({ revision, read: times, ...next, id } as User);
              return next;
            });
            for (const after of written) {
              commit("authorize", mirror.get(after.id), after, instance);
            }
            return result;
          }),
        create: (id, make) =>
          write("users.create", () => {
            const written: User[] = [];
            const result = memory.create(id, (generation, times) => {
              const next = make(generation, times);
              written.push({ revision: "" as User["revision"], read: times, ...next, id } as User);
              return next;
            });
            for (const after of written) commit("create", undefined, after, instance);
            return result;
          }),
        erase: (user) =>
          write("users.erase", async () => {
            const result = memory.erase(user);
            if ((await result) === "erased") {
              mirror.delete(user.id);
              world.trace(() => `${instance.name} ERASED ${user.id.slice(-4)}`);
            }
            return result;
          }),
      };
      return askedBy(users, clock);
    },

    callbackClaimsFor(effect) {
      const { read, write } = accessWith(effect);
      return {
        claim: (id, claimant, expireAt) =>
          write("callbacks.claim", () => callbackClaims.claim(id, claimant, expireAt)),
        settle: (id, outcome) =>
          write("callbacks.settle", () => callbackClaims.settle(id, outcome)),
        find: (id) => read("callbacks.find", () => callbackClaims.find(id)),
      };
    },

    seenEventsFor(effect) {
      const { read, write } = accessWith(effect);
      return {
        has: (id) => read("seenEvents.has", () => seenEvents.has(id)),
        add: (id, expireAt) => write("seenEvents.add", () => seenEvents.add(id, expireAt)),
      };
    },
  };

  function accessWith(effect: Effect) {
    return {
      read: <T>(label: string, perform: () => Promise<T>) =>
        effect<T>(
          label,
          () => {
            if (!isFailing()) return { value: perform() };
            count("store read failed");
            return { error: storeError(14) };
          },
          limit,
        ),
      write: <T>(label: string, perform: () => Promise<T>) =>
        effect<T>(label, () => faulty(perform), limit),
    };
  }

  function legible(user: User | undefined): User | undefined {
    return user !== undefined && unreadable.has(user.id) ? undefined : user;
  }

  function isFailing(): boolean {
    return world.outages.store || random.chance(world.rates.storeFailsBefore);
  }

  function faulty<T>(perform: () => Promise<T>): Outcome<T> {
    if (isFailing()) {
      count("store failed before a write");
      return { error: storeError(14) };
    }
    const result = perform();
    if (!random.chance(world.rates.storeFailsAfter)) return { value: result };
    count("commit unknown");
    return { error: storeError(4) };
  }

  function commit(
    kind: Commit["kind"],
    before: User | undefined,
    after: User,
    instance: Instance,
  ): void {
    mirror.set(after.id, after);
    if (losers.get(after.id) === instance) count("checkpoint written after a lost race");
    losers.delete(after.id);
    world.trace(() => `${instance.name} COMMIT ${kind} ${describe(after)}`);
    store.onCommit({ at: scheduler.now(), kind, before, after, instance });
  }

  function lost(id: UserId, instance: Instance, { status }: UserPatch): void {
    count("compare-and-set lost");
    if (instance.wasFrozen) count("compare-and-set lost by a frozen instance");
    const isFlagging = status === "reauthorization_required" || status === "mailbox_unavailable";
    if (isFlagging) count("flagging lost a race");
    losers.set(id, instance);
  }

  return store;
}

function asWritten(updated: string): "written" | "refused" {
  return updated === "refused" ? "refused" : "written";
}

/** As Firestore's client throws it: a gRPC status code and prose. */
function storeError(code: number): Error {
  return Object.assign(new Error("the store failed"), { code });
}

function describe({ id, status, historyId, sync, grant, watch }: User): string {
  const recent = sync.recent.map(({ historyId: it, isHead }) => `${it}${isHead ? "h" : ""}`);
  const due = sync.dueAt?.toISOString().slice(8, 19);
  return [
    `${id.slice(-4)} ${status} g${grant.generation} cursor ${historyId} recent [${recent.join(" ")}]`,
    `due ${due} ${sync.dueReason} notified ${sync.notifiedHistoryId}`,
    `renew ${watch.renewAt?.toISOString().slice(8, 19)}`,
    sync.recovery && `recovery ${JSON.stringify(sync.recovery)}`,
  ]
    .filter((part) => part !== undefined)
    .join(" ");
}
