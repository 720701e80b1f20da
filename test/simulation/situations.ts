import type { Notice } from "../../functions/src/domain/notice.ts";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { Notification } from "../gmail-emulator/notifications.ts";
import type { Fleet, Instance } from "./fleet.ts";
import type { Persons } from "./persons.ts";
import type { Commit, SimulatedStore } from "./store.ts";
import type { World } from "./world.ts";

export interface Situations {
  onCommit(commit: Commit): void;
  onPublished(event: PubsubCloudEvent): void;
  onMail(notice: Notice): void;
  onAttempt(notification: Notification, instance: Instance): void;
}

const MINUTE = 60_000;

/** Counts what only shows in the interplay of parts, and lets people react to what they are told. */
export function watchSituations(
  world: World,
  { fleet, store, persons }: { fleet: Fleet; store: SimulatedStore; persons: Persons },
): Situations {
  const { scheduler, count } = world;
  const { comeBack } = world.parameters;
  const random = world.random("reactions");
  const readers = world.random("readers");
  /** Who began the recovery of a mailbox. */
  const recoverers = new Map<string, Instance>();
  const announced = new Set<string>();

  return {
    onCommit({ kind, before, after, instance }) {
      if (kind === "authorize" && before?.status !== "disconnected" && before !== undefined) {
        const runs = fleet.instances.flatMap(({ invocations }) => [...invocations]);
        const isUnderWay = runs.some(({ name }) => !name.startsWith("GET"));
        if (isUnderWay) count("re-authorization while a run is under way");
      }
      const { recovery } = after.sync;
      if (recovery !== undefined && before?.sync.recovery === undefined) {
        recoverers.set(after.id, instance);
      } else if (recovery !== undefined && recoverers.get(after.id) !== instance) {
        count("recovery resumed by another run");
        recoverers.set(after.id, instance);
      }
      const isGrantKept = before?.grant.generation === after.grant.generation;
      if (before?.grant.refreshToken !== undefined && after.grant.refreshToken === undefined) {
        const isLate = before.status === "disconnected" && before.followUp.failures > 0;
        if (isGrantKept && isLate) count("disconnect finished later");
      }
    },

    onAttempt({ sub }, { invocations }) {
      const runs = [...invocations].filter(({ name }) => name.startsWith("notification"));
      if (runs.length > 1) count("joined or queued run");
      const user = store.stored().find(({ id }) => id === sub);
      if (user?.sync.recovery !== undefined) count("notified while a recovery is stored");
    },

    onMail({ userId, reauthorizeUrl }) {
      const person = persons.all.find(({ sub }) => sub === userId);
      if (person === undefined || !comeBack || !readers.chance(0.5)) return;
      const waitMs = readers.between(MINUTE / 4, 5 * 60 * MINUTE);
      persons.connect(person, scheduler.now() + waitMs, reauthorizeUrl);
    },

    onPublished({ attributes, json }) {
      const id = attributes["ce-id"] ?? "";
      const isLifecycle = "generation" in json || "reauthorizeUrl" in json;
      if (isLifecycle && announced.has(id)) {
        count("announcement repeated or made by the reconciliation");
      }
      announced.add(id);
      const link = json["reauthorizeUrl"];
      const person = persons.all.find(({ sub }) => sub === json["userId"]);
      if (typeof link !== "string" || person === undefined || !comeBack) return;
      if (!random.chance(0.7)) return;
      const waitMs = random.chance(0.5)
        ? random.between(MINUTE / 4, 10 * MINUTE)
        : random.between(10 * MINUTE, 8 * 60 * MINUTE);
      persons.connect(person, scheduler.now() + waitMs, link);
    },
  };
}
