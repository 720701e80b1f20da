import { setImmediate as turn } from "node:timers/promises";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { After, Clock } from "../../functions/src/domain/clock.ts";
import type { User } from "../../functions/src/domain/user.ts";
import type { EmulatorOptions } from "../gmail-emulator/emulator.ts";
import { notificationData } from "../gmail-emulator/notifications.ts";
import { eventRequest } from "../gmail-emulator/push.ts";
import { type LocalStack, startLocalStack } from "../local/stack.ts";
import { type Browser, FROM_OUR_PAGE, openBrowser, throughGoogle } from "./browser.ts";
import { type MemoryCallbackClaims, memoryCallbackClaims } from "./memory-callback-claims.ts";
import { type MemorySeenEvents, memorySeenEvents } from "./memory-seen-events.ts";
import { type MemoryTopic, memoryTopic } from "./memory-topic.ts";
import { type MemoryUsers, type StoredUser, memoryUsers } from "./memory-users.ts";

/** A clock that goes on by itself and can be set forward; a sleep sets it forward and ends. */
export interface MovableClock extends Clock {
  advance(ms: number): void;
}

export function movableClock(): MovableClock {
  let offsetMs = 0;
  return {
    now: () => new Date(Date.now() + offsetMs),
    advance(ms) {
      offsetMs += ms;
    },
    async sleep(ms) {
      offsetMs += ms;
      await turn();
    },
  };
}

/** The whole receiver against the Gmail emulator, with its stores and its topic in memory. */
export interface Scenario extends LocalStack {
  clock: MovableClock;
  users: MemoryUsers;
  seenEvents: MemorySeenEvents;
  callbackClaims: MemoryCallbackClaims;
  topic: MemoryTopic;
  /** Creates the account at Google and connects it as a person would, in a browser of their own. */
  connect(email: string, options?: ConnectOptions): Promise<Connected>;
  /** What is stored of a user. */
  stored(email: string): StoredUser;
  /** The same, as the store returns it to a reader now. */
  read(email: string): Promise<User>;
  /**
   * What was published about a user, repeats left out, in the order of first publication. `type`
   * chooses one `ce-type`.
   */
  events(email: string, type?: string): PubsubCloudEvent[];
  /** The ids of the messages that were published as added, in that order. */
  added(email: string): unknown[];
  /** Resolves when every notification so far has been dealt with. */
  settled(): Promise<void>;
  /** Hands the function a notification that was published now; resolves to the status. */
  notify(email: string, historyId: string): Promise<number>;
  /** Lets time pass, and runs the reconciliation once. */
  reconcileAfter(ms: number): Promise<void>;
  logged(event: string): Record<string, unknown>[];
}

export interface ConnectOptions {
  /** Whether the account is there already. */
  exists?: boolean;
  browser?: Browser;
  untick?: string[];
}

export interface Connected {
  browser: Browser;
  /** The page that the person ended on. */
  status: number;
  page: string;
}

export async function startScenario(
  options: {
    env?: Record<string, string>;
    emulator?: EmulatorOptions;
    random?: () => number;
    after?: After;
  } = {},
): Promise<Scenario> {
  const clock = movableClock();
  const users = memoryUsers(clock);
  const seenEvents = memorySeenEvents();
  const callbackClaims = memoryCallbackClaims();
  const topic = memoryTopic(clock.now);
  const { publish } = topic;
  const stack = await startLocalStack({
    ...options,
    users,
    seenEvents,
    callbackClaims,
    publish,
    clock,
  });
  const { emulator, publicUrl } = stack;

  function stored(email: string): StoredUser {
    const user = users.dump().users.find(({ emailAddress }) => emailAddress === email);
    if (user === undefined) throw new Error(`no user ${email}`);
    return user;
  }

  function events(email: string, type?: string): PubsubCloudEvent[] {
    const seen = new Set<string>();
    return topic.published.filter(({ attributes, json }) => {
      const id = attributes["ce-id"] ?? "";
      if (json["emailAddress"] !== email || seen.has(id)) return false;
      seen.add(id);
      return type === undefined || attributes["ce-type"] === type;
    });
  }

  return {
    ...stack,
    clock,
    users,
    seenEvents,
    callbackClaims,
    topic,

    async connect(email, { exists = false, browser = openBrowser(), untick = [] } = {}) {
      if (!exists) emulator.createAccount({ email });
      const start = await browser.get(`${publicUrl}/start`, FROM_OUR_PAGE);
      const response = await throughGoogle(emulator, browser, start, { account: email, untick });
      const page = await response.text();
      await emulator.idle();
      return { browser, status: response.status, page };
    },

    stored,

    async read(email) {
      const user = await users.find(stored(email).id);
      if (user === undefined) throw new Error(`no user ${email}`);
      return user;
    },

    events,

    added: (email) => events(email, "mailbox.message.added").map(({ json }) => json["messageId"]),

    async settled() {
      await emulator.idle();
    },

    async notify(email, historyId) {
      const request = eventRequest(stack.config.gmail.topic, {
        messageId: "1",
        publishTime: clock.now().toISOString(),
        data: notificationData({ emailAddress: email, historyId }, "string"),
      });
      return (await fetch(stack.urls.gmailNotification, request)).status;
    },

    async reconcileAfter(ms) {
      clock.advance(ms);
      await stack.runSchedule("mailboxReconciliation");
    },

    logged: (event) =>
      stack.logs
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((record) => record["event"] === event),
  };
}
