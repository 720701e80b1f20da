import { once } from "node:events";
import { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdaptorServer } from "@hono/node-server";
import pLimit from "p-limit";
import { type MailboxAtGmail, createRecorder } from "../checker/recorder.ts";
import { serveLoopbackOnly } from "../support/loopback-only.ts";
import { linkIn, startMailSink } from "../support/mail-sink.ts";
import { memoryTopic } from "../support/memory-topic.ts";
import { type StoredUser, memoryUsers } from "../support/memory-users.ts";
import { freePort } from "../support/program.ts";
import { DEFAULT_CLIENT, type GmailEmulator } from "../gmail-emulator/emulator.ts";
import { randomStreams } from "../simulation/random.ts";
import { makeTokenKeys } from "./environment.ts";
import { liveFeed } from "./live-feed.ts";
import { pageRoutes } from "./page-routes.ts";
import { type Delivery, pushSubscription } from "./push-subscription.ts";
import { openStackFolder } from "./saved-stack.ts";
import { startSchedules } from "./schedules.ts";
import { type Snapshot, showAccount, showCall, showUser } from "./snapshot.ts";
import { type LocalStack, startLocalStack } from "./stack.ts";

/** The local stack with a page on which one plays every part in it. */
export interface Playground {
  /** Where the page is. */
  url: string;
  stack: LocalStack;
  close(): Promise<void>;
}

export interface PlaygroundOptions {
  /** Taken when free, another one otherwise. */
  pagePort: number;
  /** The same for `connect`, for `gmailApi`, and for the emulated Google. */
  connectPort: number;
  gmailApiPort?: number;
  googlePort?: number;
  /** Where changes are delivered, as by a push subscription. */
  push?: string;
  onDelivery?: (delivery: Delivery) => void;
  /** A folder to continue from, and to keep the state in. */
  data?: string;
  /** Settings of the receiver. */
  env?: Record<string, string>;
  /** The emulated Google's ids and tokens are the same for the same number. */
  seed?: number;
  /** Takes each line of a recording for `npm run check-recording`. */
  record?: (line: object) => void;
}

const LOOPBACK = "127.0.0.1";
const SNAPSHOT_MS = 200;
/** What is kept in a folder is at most so much behind when the machine fails. */
const KEEP_MS = 1_000;
/** A person to begin with. */
const FIRST_ACCOUNT = { email: "ada@example.com", name: "Ada Lovelace" };

/**
 * What takes a day or six hours when deployed is due at once, so that a schedule has something to
 * do whenever it runs.
 */
const IMPATIENT = { WATCH_RENEW_AFTER_MS: "1000", RECONCILE_AFTER_MS: "1000" };
/** With the default scope, Gmail shows no text of a mail to a subscriber. */
const SCOPES = { GMAIL_SCOPES: "https://www.googleapis.com/auth/gmail.readonly" };

/** Throws when the folder of the state cannot be used. */
export async function startPlayground(options: PlaygroundOptions): Promise<Playground> {
  const folder = options.data === undefined ? undefined : await openStackFolder(options.data);
  const saved = folder?.saved;
  const tokenKeys = saved?.tokenKeys ?? makeTokenKeys();
  const feed = liveFeed(Date.now().toString(36));
  let aheadMs = saved?.aheadMs ?? 0;
  const clock = { now: () => new Date(Date.now() + aheadMs), sleep: pause };
  const users = memoryUsers(clock);
  if (saved !== undefined) users.load(saved.users);
  for (const { kind, data } of saved?.entries ?? []) feed.tell(kind, data);
  const recorder =
    options.record &&
    createRecorder({
      now: () => clock.now().getTime(),
      // What was published the last time is not in this recording, and so would seem to be lost.
      mailboxOf: (id) => (saved === undefined ? mailboxAt(stack.emulator, id) : undefined),
      write: options.record,
    });
  const recordUser = ({ id, revision: _, ...content }: StoredUser) => recorder?.stored(id, content);
  users.onChanged = (id, user) => {
    if (user === undefined) recorder?.erased(id);
    else recordUser(user);
    const document = user === undefined ? {} : showUser(user).document;
    feed.tell("step", { at: clock.now().toISOString(), id, document });
  };
  const topic = memoryTopic(clock.now);
  topic.onPublished = (event) => {
    const { attributes, json, orderingKey } = event;
    recorder?.published(event);
    subscription?.publish(event);
    const { "ce-id": id, "ce-type": type, "ce-time": time } = attributes;
    feed.tell("published", { id, type, time, data: json, attributes, orderingKey });
  };
  const sink = await startMailSink();
  sink.onMail = (sunk) => {
    const { to, mail } = sunk;
    const at = clock.now().toISOString();
    feed.tell("mail", { at, to, subject: mail.subject, text: mail.text, link: linkIn(sunk) });
  };
  const stack = await startLocalStack({
    users,
    publish: topic.publish,
    clock,
    env: {
      ...IMPATIENT,
      ...SCOPES,
      ...options.env,
      TOKEN_KEYS: tokenKeys,
      NOTICE_SMTP_URL: sink.url,
      NOTICE_FROM: "Local receiver <mail@localhost>",
    },
    ports: {
      connect: await freePort(options.connectPort),
      gmailApi: await freePort(options.gmailApiPort),
    },
    emulator: {
      port: await freePort(options.googlePort),
      ...(options.seed !== undefined && { random: randomStreams(options.seed)("google").next }),
    },
    onLog: (line) => {
      const record: unknown = JSON.parse(line);
      feed.tell("log", { at: clock.now().toISOString(), record });
    },
  });
  const { changes, gmail, sync } = stack.config;
  recorder?.settings({
    from: clock.now().toISOString(),
    settleMs: sync.settleMs,
    publishesDrafts: changes.publishDrafts,
    watchedLabels: gmail.watchLabelIds,
  });
  for (const user of users.dump().users) recordUser(user);
  const { push: endpoint, onDelivery } = options;
  const subscription =
    endpoint === undefined
      ? undefined
      : pushSubscription({
          url: endpoint,
          sign: stack.emulator.sign,
          now: clock.now,
          onDelivery(delivery) {
            const { event, ...outcome } = delivery;
            feed.tell("delivery", { id: event.attributes["ce-id"], ...outcome });
            onDelivery?.(delivery);
          },
        });
  const { emulator } = stack;
  if (saved === undefined) emulator.createAccount(FIRST_ACCOUNT);
  else {
    emulator.load(saved.google);
    // The pages may be on another port than the last time.
    emulator.setRedirectUris(DEFAULT_CLIENT.clientId, [`${stack.publicUrl}/callback`]);
  }
  const inTurn = pLimit(1);
  const keep = () =>
    inTurn(async () => {
      const entries = feed.entries();
      await folder?.keep({
        google: emulator.save(),
        users: users.save(),
        tokenKeys,
        aheadMs,
        entries,
      });
    });
  await keep();
  const keepingOn = setInterval(() => {
    // The next one tries again, and the last one is waited for.
    keep().catch((error: unknown) => console.error("could not keep the state:", error));
  }, KEEP_MS);
  const schedules = startSchedules(stack.runSchedule);

  const snapshot = (): Snapshot => ({
    accounts: emulator.accounts().map(showAccount),
    users: users.dump().users.map(showUser),
    schedules: schedules.nextRuns(),
    aheadMs,
  });
  feed.show("addresses", {
    start: `${stack.publicUrl}/start`,
    status: `${stack.publicUrl}/`,
    ...(endpoint !== undefined && { push: endpoint }),
  });
  feed.show("state", snapshot());
  let callsTold = emulator.calls.length;
  const looking = setInterval(() => {
    for (const call of emulator.calls.slice(callsTold)) {
      const shown = showCall(call);
      if (shown !== undefined) feed.tell("call", shown);
    }
    callsTold = emulator.calls.length;
    if (feed.isWatched) feed.show("state", snapshot());
  }, SNAPSHOT_MS);

  const travel = async (forwardMs: number): Promise<void> => {
    aheadMs += forwardMs;
    // What came due in the meantime.
    await stack.runSchedule("watchRenewal");
    await stack.runSchedule("mailboxReconciliation");
  };
  const routes = pageRoutes(stack, {
    feed,
    travel,
    ...(subscription !== undefined && { resend: subscription.publish }),
  });
  const server = createAdaptorServer({ fetch: routes.fetch });
  if (server instanceof Server) serveLoopbackOnly(server);
  server.listen(await freePort(options.pagePort), LOOPBACK);
  await once(server, "listening");

  return {
    url: `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`,
    stack,
    async close() {
      schedules.stop();
      clearInterval(looking);
      clearInterval(keepingOn);
      feed.close();
      server.close();
      if (server instanceof Server) server.closeAllConnections();
      await subscription?.close();
      await stack.close();
      await keep();
      await sink.close();
    },
  };
}

function mailboxAt(emulator: GmailEmulator, userId: string): MailboxAtGmail | undefined {
  // A deleted account is none.
  const account = emulator.accounts().find(({ sub }) => sub === userId);
  if (account === undefined) return undefined;
  const { historyId, oldestHistoryId } = account;
  return { ...account, head: BigInt(historyId), oldest: BigInt(oldestHistoryId) };
}

/** Does not keep the process from ending. */
async function pause(ms: number): Promise<void> {
  await sleep(ms, undefined, { ref: false });
}
