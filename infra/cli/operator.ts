import type { Operator } from "../../functions/src/services.ts";
import type { Session } from "./session.ts";

/**
 * Opens the store and the keys of a deployment for one command, and closes them after it, whatever
 * happens. `projectId` replaces `GOOGLE_CLOUD_PROJECT`.
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
