import { readConfig } from "../../functions/src/config/config.ts";
import type { Context } from "../../functions/src/context.ts";
import type { KeyRing } from "../../functions/src/crypto/sealing.ts";
import {
  clock,
  openClients,
  openContext,
  readEnvironment,
  unwrapKeys,
} from "../../functions/src/instance.ts";
import type { Log } from "../../functions/src/platform/log.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import type { Operator } from "./operator.ts";

/**
 * Reads the functions' own configuration from the environment. Throws one `ConfigError` that names
 * every problem; it makes no call before its parts are used.
 */
export function openOperator(log: Log): Operator {
  const config = readConfig(readEnvironment());
  const clients = openClients(config);
  let ring: Promise<KeyRing> | undefined;
  let context: Promise<Context> | undefined;
  return {
    users: firestoreUsers(clients.database, log, clock),
    clock,
    log,
    getKeyRing() {
      ring ??= unwrapKeys(config, log);
      return ring;
    },
    getContext() {
      context ??= openContext(config, log, { clients });
      return context;
    },
    async close() {
      await clients.pubsub.close();
      await clients.database.terminate();
    },
  };
}
