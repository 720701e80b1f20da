import type { Log, LogFields } from "../../functions/src/platform/log.ts";
import type { Situation } from "./counters.ts";
import type { LoggedRecord } from "./delay-checks.ts";
import type { World } from "./world.ts";

const OF_OUTCOME: Partial<Record<string, Situation>> = {
  caught_up: "caught up",
  stale: "stale notification",
  lagging: "lag due",
  unfinished: "unfinished run",
  throttled: "throttled run",
  superseded: "run superseded",
};

const OF_EVENT: Partial<Record<string, Situation>> = {
  history_recovered: "recovery completed",
  mailbox_restored: "unavailable mailbox available again",
  push_missed: "push silent",
  circuit_open: "circuit open",
  fleet_guard: "fleet guard tripped",
};

export interface LogListeners {
  onLogged(record: LoggedRecord): void;
  /** A notification names nobody whose document can be found and read. */
  onUnattributed(pubsubMessageId: string): void;
}

/** A log that counts the situations its records tell of, and keeps them to look for secrets. */
export function createSimulatedLog(
  world: World,
  name: string,
  logged: unknown[],
  { onLogged, onUnattributed }: LogListeners,
  fields: LogFields = {},
): Log {
  const write =
    (severity: string) =>
    (event: string, _: string, own: LogFields = {}) => {
      const record = { ...fields, ...own, severity, event };
      if (severity !== "debug") {
        logged.push(record);
        const { userId }: LogFields = record;
        onLogged({ severity, event, userId: typeof userId === "string" ? userId : undefined });
      }
      const { outcome, pubsubMessageId }: LogFields = record;
      if (outcome === "unknown_mailbox") onUnattributed(String(pubsubMessageId));
      world.trace(() => `${name} log ${JSON.stringify(record)}`);
      const situation =
        event === "mailbox_synced" ? OF_OUTCOME[String(own["outcome"])] : OF_EVENT[event];
      if (situation !== undefined) world.count(situation);
      if (event === "watches_renewed") {
        if (Number(own["renewed"]) > 0) world.count("watch renewed");
        if (Number(own["failed"]) > 0) world.count("watch renewal failed");
      }
      if (event === "user_connected" && own["isRestored"] === true) {
        if (Number(own["recoveredChanges"]) > 0) {
          world.count("changes recovered by a re-authorization");
        }
      }
    };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    alert: write("alert"),
    with: (more) =>
      createSimulatedLog(world, name, logged, { onLogged, onUnattributed }, { ...fields, ...more }),
  };
}
