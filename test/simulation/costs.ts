import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { GoogleCall } from "./google.ts";
import type { SimulatedPubsub } from "./pubsub.ts";
import type { World } from "./world.ts";

export interface Costs {
  onCall(call: GoogleCall): void;
  calls: Map<string, number>;
}

export function watchCosts(): Costs {
  const calls = new Map<string, number>();
  return {
    calls,
    onCall({ method }) {
      calls.set(method, (calls.get(method) ?? 0) + 1);
    },
  };
}

const HOUR = 3_600_000;
/** A notification of something that never shows: four looks at once, and five later. */
const LISTS_OF_NOTIFICATION_AHEAD = 9;

/** Where nothing goes wrong, nothing is published twice and nothing is called without need. */
export function checkCosts(
  world: World,
  { calls }: Costs,
  {
    published,
    pubsub,
    spanMs,
  }: { published: readonly PubsubCloudEvent[]; pubsub: SimulatedPubsub; spanMs: number },
): void {
  const { parameters } = world;
  if (parameters.family !== "calm") return;
  const { mailboxes, quietMs, renewAfterMs } = parameters;
  const ids = published.map(({ attributes }) => attributes["ce-id"]);
  const repeats = ids.length - new Set(ids).size;
  if (repeats > 0) world.violate("P12", `${repeats} publications repeated without a fault`);

  const listsEach = parameters.notificationIdAhead === "no" ? 2 : LISTS_OF_NOTIFICATION_AHEAD;
  const watches = mailboxes * (spanMs / (0.8 * renewAfterMs) + 2) + silentWatches(world);
  const most = {
    // Each notification and its re-checks; each quiet interval is at least half of what is set.
    "history.list": listsEach * pubsub.attempts() + mailboxes * (spanMs / (quietMs / 2) + 3),
    "users.watch": watches,
    "token.refresh": mailboxes * (spanMs / (0.9 * HOUR) + 2),
    "token.code": mailboxes,
    // At each authorization and renewal, and at each poll that finds what no push announced.
    "users.getProfile": watches + silentWatches(world),
    "messages.list": 0,
    "messages.get": 0,
    "users.stop": 0,
  };
  for (const [method, max] of Object.entries(most)) {
    const made = calls.get(method) ?? 0;
    if (made > max) world.violate("P12", `${made} calls of ${method}, ${Math.ceil(max)} at most`);
  }
}

/** A mailbox found changed before its notification came is watched again for nothing. */
function silentWatches(world: World): number {
  return world.parameters.acts * world.parameters.mailboxes;
}
