import type { Context } from "../../functions/src/context.ts";
import type { KeyRing } from "../../functions/src/crypto/sealing.ts";
import type { Clock } from "../../functions/src/domain/clock.ts";
import type { UserStore } from "../../functions/src/domain/user.ts";
import type { Log } from "../../functions/src/platform/log.ts";
import type { Session } from "./session.ts";

/** A deployment, as an operator's command sees it. */
export interface Operator {
  users: UserStore;
  clock: Clock;
  log: Log;
  /** Returns the key ring of `TOKEN_KEYS`, decrypted on first use. Throws `KeysUnusable`. */
  getKeyRing(): Promise<KeyRing>;
  /**
   * Returns what the functions work with: Google, the topic and the keys. Throws `KeysUnusable`.
   */
  getContext(): Promise<Context>;
  /** Closes all connections, so that the program can end. */
  close(): Promise<void>;
}

/**
 * Opens the store and the keys of a deployment for one command, and always closes them after it.
 * `projectId` replaces `GOOGLE_CLOUD_PROJECT`.
 */
export async function withOperator<T>(
  { openOperator, log }: Session,
  work: (operator: Operator) => Promise<T>,
  projectId?: string,
): Promise<T> {
  const operator = await openOperator(log, projectId);
  try {
    return await work(operator);
  } finally {
    await operator.close();
  }
}
