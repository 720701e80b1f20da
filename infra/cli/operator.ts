import type { Context } from "../../functions/src/context.ts";
import type { KeyRing } from "../../functions/src/crypto/sealing.ts";
import type { Clock } from "../../functions/src/domain/clock.ts";
import type { UserStore } from "../../functions/src/domain/user.ts";
import type { Log } from "../../functions/src/platform/log.ts";
import { CommandError } from "./errors.ts";
import type { Session } from "./session.ts";
import { type Where, findSettings } from "./where.ts";

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
 * Opens the store and the keys of a deployment for one command, and always closes them after it. A
 * command that needs keys stops before it acts where a secret could not be read.
 */
export async function withOperator<T>(
  session: Session,
  work: (operator: Operator) => Promise<T>,
  where: Where,
): Promise<T> {
  const { env, unread } = await findSettings(where, session);
  const operator = await session.openOperator(session.log, env);
  const [secret] = unread;
  const refuse = () =>
    Promise.reject(new CommandError(`${secret?.name} could not be read: ${secret?.why}`));
  try {
    return await work(
      secret === undefined ? operator : { ...operator, getKeyRing: refuse, getContext: refuse },
    );
  } finally {
    await operator.close();
  }
}
