import type { Answer } from "./answer.ts";
import { isMethod } from "./calls.ts";
import { type Account, accountOf, type Google, type Refusal } from "./google.ts";
import { answerOf } from "./presets.ts";

/** From now on this account's calls get that answer, however often; what is returned lifts it. */
export function refuse(google: Google, address: string, refusal: Refusal): () => void {
  const { refusals } = accountOf(google, address);
  refusals.push(refusal);
  return () => {
    const index = refusals.indexOf(refusal);
    if (index >= 0) refusals.splice(index, 1);
  };
}

/** Ends the refusals of this method or group, or all of them. */
export function stopRefusing(google: Google, address: string, method?: string): void {
  const { refusals } = accountOf(google, address);
  const kept = refusals.filter((it) => method !== undefined && it.method !== method);
  refusals.splice(0, refusals.length, ...kept);
}

/** What this account gets in place of an answer to the method: the first refusal that fits. */
export function refusalOf(google: Google, account: Account, method: string): Answer | undefined {
  const refusal = account.refusals.find((it) => isMethod(method, it.method));
  return refusal === undefined ? undefined : answerOf(refusal, google.now());
}
