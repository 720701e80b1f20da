import { randomBytes } from "node:crypto";
import { runInNewContext } from "node:vm";
import { setFlagsFromString } from "node:v8";
import { type Context, createContext } from "../../functions/src/context.ts";
import { readConfig } from "../../functions/src/config/config.ts";
import { tokenSeal } from "../../functions/src/crypto/token-seal.ts";
import type { MailboxEvent } from "../../functions/src/domain/events.ts";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import { googleEndpoints } from "../../functions/src/google/endpoints.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { type Receiver, createReceiver } from "../../functions/src/receiver.ts";
import { notificationData } from "../gmail-emulator/notifications.ts";
import { requiredEnv } from "../local/environment.ts";
import { randomStreams } from "../simulation/random.ts";
import { memoryCallbackClaims } from "../support/memory-callback-claims.ts";
import { memorySeenEvents } from "../support/memory-seen-events.ts";
import { inTimeOf } from "../support/read-times.ts";
import { ringOf } from "../support/test-keys.ts";
import { type Mailbox, type Own, addressOfMailbox, mailboxOfAddress, storeFleet } from "./fleet.ts";
import { type FleetGoogle, add, fleetGoogle } from "./google.ts";
import type { StoreKind } from "./figures.ts";
import { type Operations, openStore, timedStore } from "./store.ts";
import { type SimulatedTime, simulateTime } from "./time.ts";

export interface WorldOptions {
  users: number;
  store: StoreKind;
  /** Variables of the receiver, in addition to the required ones. */
  env?: Record<string, string>;
  /** Messages that arrived in each mailbox and are not published. */
  unread?: number;
  /** The state of each mailbox at the start. */
  ownOf(mailbox: Mailbox, start: Date): Own;
}

/** A fleet of mailboxes, and the receiver, in simulated time. */
export interface World {
  time: SimulatedTime;
  start: Date;
  google: FleetGoogle;
  operations: Operations;
  /** Events that were published, by kind. */
  published: Map<MailboxEvent["kind"], number>;
  /** Log records, by event. */
  logged: Map<string, number>;
  /** Mails to people. */
  notices: { sent: number; lastAt: Date };
  /** Called with each event. */
  onPublished(mailbox: Mailbox, event: MailboxEvent): void;
  users: Context["users"];
  /** One instance: its memory is its own. */
  startInstance(): Receiver;
  /** A message arrives, and Gmail's notification of it is handed to an instance. */
  receiveMail(instance: Receiver, mailbox: Mailbox): { historyId: HistoryId; done: Promise<void> };
  /** How long ago it began, in simulated milliseconds. */
  elapsedMs(): number;
  /** What lives on the heap of the receiver, in MB, after a garbage collection. */
  heapMb(): number;
  close(): Promise<void>;
}

const PUBLISH_MS = 30;
const NOTICE_MS = 100;
const DAY_MS = 24 * 3_600_000;
const MB = 1_000_000;

export async function openWorld(options: WorldOptions): Promise<World> {
  const { users: count, env, unread = 0, ownOf } = options;
  // Else Google's client looks for the credentials of a machine of Google's, and warns of none.
  process.env["METADATA_SERVER_DETECTION"] ??= "none";
  const start = new Date(Date.now() + DAY_MS);
  const time = simulateTime(start.getTime());
  const config = readConfig({ ...requiredEnv(), ...env });
  const ring = ringOf(config.sealing.tokenKeys);
  const logged = new Map<string, number>();
  const log = createLog((line) => {
    const { event } = JSON.parse(line) as { event: string };
    add(logged, event, 1);
  });
  const operations: Operations = { requests: 0, reads: 0, writes: 0 };
  const store = await openStore(options.store, log, time);
  const users = inTimeOf(timedStore(store.users, time, operations), time);
  const google = fleetGoogle(time, unread);
  const random = randomStreams(1)("receiver").next;
  const seal = tokenSeal(ring, randomBytes, log);
  await storeFleet(store.storeUsers, count, start, seal, (mailbox) => ownOf(mailbox, start));

  const world: World = {
    time,
    start,
    google,
    operations,
    published: new Map(),
    logged,
    notices: { sent: 0, lastAt: start },
    onPublished: () => {},
    users,

    startInstance: () =>
      createReceiver(
        createContext(config, ring, googleEndpoints(undefined), {
          users,
          seenEvents: memorySeenEvents(),
          callbackClaims: memoryCallbackClaims(),
          async publish({ emailAddress }, events) {
            await time.sleep(PUBLISH_MS);
            for (const event of events) {
              add(world.published, event.kind, 1);
              world.onPublished(mailboxOfAddress(emailAddress), event);
            }
          },
          ...google.ports,
          passThrough: () => Promise.reject(new Error("nobody calls Gmail's API here")),
          verifyIdToken: () => Promise.reject(new Error("nobody connects here")),
          verifySecurityEvent: () => Promise.reject(new Error("Google reports nothing here")),
          async sendNotice() {
            await time.sleep(NOTICE_MS);
            world.notices = { sent: world.notices.sent + 1, lastAt: time.now() };
            return { kind: "sent" };
          },
          clock: time,
          random,
          randomBytes,
          log,
        }),
      ),

    receiveMail(instance, mailbox) {
      const historyId = google.deliver(mailbox);
      const emailAddress = addressOfMailbox(mailbox);
      const data = {
        message: {
          data: notificationData({ emailAddress, historyId }, "string"),
          messageId: "1",
          publishTime: time.now().toISOString(),
        },
      };
      return { historyId, done: instance.gmailNotification({ data }) };
    },

    elapsedMs: () => time.now().getTime() - start.getTime(),

    heapMb() {
      setFlagsFromString("--expose-gc");
      (runInNewContext("gc") as () => void)();
      return process.memoryUsage().heapUsed / MB;
    },

    close: store.close,
  };
  return world;
}
