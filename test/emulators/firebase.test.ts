import { Timestamp } from "@google-cloud/firestore";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import {
  type FirebaseStack,
  findFirebaseStack,
  startFirebaseStack,
} from "../local/firebase-stack.ts";
import { type Browser, openBrowser, throughGoogle } from "../support/browser.ts";
import { dumpDatabase } from "../support/firestore-emulator.ts";
import type { Received } from "../support/pubsub-emulator.ts";
import { isHad } from "../support/emulator-source.ts";

const isStackHad = isHad(findFirebaseStack());

/**
 * Cold starts of the Functions emulator among it: each function is a process of its own, and so is
 * each of the notifications that come while the first is starting.
 */
const ARRIVAL = { timeout: 60_000, interval: 100 };
/** The first process of a function, on a machine that is busy with others. */
const COLD_START = { timeout: 100_000, interval: 500 };

/**
 * The built folder as `firebase deploy` uploads it, over the wire: Google from the Gmail emulator,
 * the topics and the database from their emulators. Time is real, so watches and quiet mailboxes
 * are due after a second.
 */
describe.skipIf(!isStackHad)("the firebase folder in the Functions emulator", () => {
  let stack: FirebaseStack;
  /** Every page that anybody was shown. */
  const pages: string[] = [];

  beforeAll(async () => {
    stack = await startFirebaseStack({
      env: { WATCH_RENEW_AFTER_MS: "1000", RECONCILE_AFTER_MS: "1000" },
    });
  });
  afterAll(() => stack?.close());

  async function read(response: Response): Promise<string> {
    const text = await response.text();
    pages.push(text);
    return text;
  }

  /** From one of our pages to Google, through the consent page, and back. */
  async function allow(browser: Browser, toGoogle: Response, account: string): Promise<string> {
    expect(toGoogle.status).toBe(303);
    const response = await throughGoogle(stack.emulator, browser, toGoogle, { account });
    const page = await read(response);
    expect(response.status).toBe(200);
    return page;
  }

  async function connect(account: string): Promise<{ id: string; browser: Browser; page: string }> {
    const { sub } = stack.emulator.createAccount({ email: account });
    const browser = openBrowser();
    const page = await allow(browser, await browser.get(`${stack.publicUrl}/start`), account);
    return { id: sub, browser, page };
  }

  /** The events of one user in the order of arrival, repeats left out. */
  function events(id: string): Received[] {
    const own = stack.subscriber.received.filter(({ orderingKey }) => orderingKey === id);
    const ids = own.map(({ attributes }) => attributes["ce-id"]);
    return own.filter((_, index) => ids.indexOf(ids[index]) === index);
  }

  const types = (id: string) => events(id).map(({ attributes }) => attributes["ce-type"]);
  const messageIds = (id: string) => events(id).flatMap(({ json }) => json["messageId"] ?? []);

  async function stored(id: string): Promise<Record<string, unknown>> {
    const document = await stack.database.doc(`users/${id}`).get();
    return document.data() ?? {};
  }

  it("connects a person through consent, and stores the user as documented", async () => {
    const { id, page } = await connect("ada@example.com");
    expect(page).toContain("ada@example.com");
    await vi.waitFor(() => expect(types(id)).toEqual(["mailbox.connected"]), ARRIVAL);

    const truth = stack.emulator.account("ada@example.com");
    const sealed = expect.stringMatching(/^v2\.local\.[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(await stored(id)).toEqual({
      emailAddress: "ada@example.com",
      addressSince: expect.any(Timestamp),
      connectedAt: expect.any(Timestamp),
      language: "en",
      status: "active",
      statusReason: "authorized",
      statusAt: expect.any(Timestamp),
      grant: {
        generation: 1,
        clientId: DEFAULT_CLIENT.clientId,
        scopes: expect.arrayContaining(["https://www.googleapis.com/auth/gmail.metadata"]),
        refreshToken: sealed,
        refreshTokenDigests: { prefix: expect.any(String), doubleHash: expect.any(String) },
        accessToken: sealed,
        accessTokenExpiresAt: expect.any(Timestamp),
        grantedAt: expect.any(Timestamp),
      },
      historyId: truth.historyId,
      watch: {
        expiresAt: Timestamp.fromMillis(truth.watches[0]?.expiration ?? 0),
        renewAt: expect.any(Timestamp),
        failures: 0,
      },
      sync: {
        dueAt: expect.any(Timestamp),
        dueReason: "quiet",
        retries: 0,
        recent: [],
        highestHead: truth.historyId,
        syncedAt: expect.any(Timestamp),
      },
      followUp: { announced: { status: "active", generation: 1 }, failures: 0 },
    });
    // Gmail notifies at once when a watch is made. Served, it leaves a process that is ready for more.
    await vi.waitFor(async () => {
      const { firebase } = await stack.logs();
      expect(firebase).toContain('Finished "us-central1-gmailNotification"');
    }, COLD_START);
  });

  it("prints no warning of a library", async () => {
    const { firebase } = await stack.logs();
    expect(firebase).toContain("instance_started");
    expect(firebase).not.toMatch(/library_error|Warning/);
  });

  it("publishes the changes of a mailbox in order after a notification", async () => {
    const account = "bob@example.com";
    const { id } = await connect(account);
    const { emulator } = stack;
    const mail = emulator.deliver(account, { subject: "one" });
    await vi.waitFor(() => expect(messageIds(id)).toEqual([mail.messageId]), ARRIVAL);
    emulator.star(account, mail.messageId);
    emulator.archive(account, mail.messageId);
    emulator.deleteMessage(account, mail.messageId);
    await vi.waitFor(() => {
      expect(types(id)).toEqual([
        "mailbox.connected",
        "mailbox.message.added",
        "mailbox.labels.added",
        "mailbox.labels.removed",
        "mailbox.message.deleted",
      ]);
    }, ARRIVAL);
    const [, ...changes] = events(id);
    expect(changes.map(({ json }) => json["messageId"])).toEqual(
      Array<string>(4).fill(mail.messageId),
    );
    expect(changes[1]?.json).toMatchObject({ labelIds: ["STARRED"] });
  });

  it("finds on schedule what no notification announced", async () => {
    const account = "cyd@example.com";
    const { id } = await connect(account);
    stack.emulator.loseNotifications(1);
    const { messageId } = stack.emulator.deliver(account, { subject: "untold" });
    await vi.waitFor(async () => {
      expect(await stack.runSchedule("mailboxReconciliation")).toBe(200);
      expect(messageIds(id)).toEqual([messageId]);
    }, ARRIVAL);
  });

  it("renews a watch on schedule, and leaves the cursor where it is", async () => {
    const account = "dan@example.com";
    const { id } = await connect(account);
    const before = await stored(id);
    await vi.waitFor(async () => {
      expect(await stack.runSchedule("watchRenewal")).toBe(200);
      expect(stack.emulator.countCalls("users.watch", account)).toBe(2);
    }, ARRIVAL);
    const after = await stored(id);
    expect(after["historyId"]).toBe(before["historyId"]);
    const [watch] = stack.emulator.account(account).watches;
    expect(after["watch"]).toMatchObject({
      expiresAt: Timestamp.fromMillis(watch?.expiration ?? 0),
      failures: 0,
    });
    expect(after["watch"]).not.toEqual(before["watch"]);
  });

  it("flags a user whose password changed, and recovers everything once they authorize again", async () => {
    const account = "eve@example.com";
    const { id, browser } = await connect(account);
    const { emulator } = stack;
    const before = emulator.deliver(account, { subject: "before" });
    await vi.waitFor(() => expect(messageIds(id)).toEqual([before.messageId]), ARRIVAL);

    emulator.changePassword(account);
    const missed = [emulator.deliver(account, { subject: "one" }).messageId];
    await vi.waitFor(
      () => expect(types(id)).toContain("mailbox.reauthorization_required"),
      ARRIVAL,
    );
    const flagged = await stored(id);
    expect(flagged).toMatchObject({
      status: "reauthorization_required",
      statusReason: "invalid_grant",
      grant: { generation: 1 },
    });
    const { grant, watch, sync } = flagged;
    const background = /"(refreshToken|accessToken|renewAt|dueAt)/;
    expect(JSON.stringify({ grant, watch, sync })).not.toMatch(background);

    // Neither a notification nor a schedule makes a call for this user any more. Somebody else is
    // renewed twice meanwhile, so this watch would have been due as well.
    await connect("fay@example.com");
    const callsBefore = emulator.countCalls("*", account);
    for (const subject of ["two", "three"]) {
      missed.push(emulator.deliver(account, { subject }).messageId);
    }
    await vi.waitFor(async () => {
      expect(await stack.runSchedule("watchRenewal")).toBe(200);
      expect(await stack.runSchedule("mailboxReconciliation")).toBe(200);
      expect(emulator.countCalls("users.watch", "fay@example.com")).toBeGreaterThan(2);
    }, ARRIVAL);
    expect(emulator.countCalls("*", account)).toBe(callsBefore);

    const event = events(id).find(
      ({ attributes }) => attributes["ce-type"] === "mailbox.reauthorization_required",
    );
    expect(event?.json).toMatchObject({ reason: "invalid_grant" });
    const link = String(event?.json["reauthorizeUrl"]);
    expect(link.startsWith(`${stack.publicUrl}/reauthorize/`)).toBe(true);
    expect(await read(await browser.get(link))).toContain(`action="${link}"`);
    const page = await allow(browser, await browser.post(link, {}), account);
    expect(page).toContain("We delivered the 3 changes you missed.");

    await vi.waitFor(() => expect(messageIds(id)).toEqual([before.messageId, ...missed]), ARRIVAL);
    await vi.waitFor(() => expect(types(id).at(-1)).toBe("mailbox.connected"), ARRIVAL);
    expect(events(id).at(-1)?.json).toMatchObject({ generation: 2, recoveredChanges: 3 });
    expect(await stored(id)).toMatchObject({ status: "active", grant: { generation: 2 } });
    expect((await browser.post(link, {})).status).toBe(410);

    const { messageId } = emulator.deliver(account, { subject: "after" });
    await vi.waitFor(() => expect(messageIds(id).at(-1)).toBe(messageId), ARRIVAL);
  });

  it("disconnects a person who asks for it", async () => {
    const account = "gus@example.com";
    const { id, browser, page } = await connect(account);
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    const response = await browser.post(`${stack.publicUrl}/disconnect`, { csrf });
    expect(response.status).toBe(200);
    expect(await read(response)).toContain("disconnected");
    await vi.waitFor(() => expect(types(id).at(-1)).toBe("mailbox.disconnected"), ARRIVAL);
    expect(await stored(id)).toMatchObject({ status: "disconnected" });
    expect(stack.emulator.account(account)).toMatchObject({ refreshTokens: [], accessTokens: [] });
  });

  it("has leaked no Google secret", async () => {
    const secrets = stack.emulator.secretsIssued();
    expect(secrets.length).toBeGreaterThan(20);
    const { firebaseDebug = "", ...logs } = await stack.logs();
    const places: Record<string, string> = {
      ...logs,
      // The emulator notes the address of each request, and Google's callback carries the code in
      // its address. It is of no use there: it has been redeemed, and needs the code verifier.
      firebaseDebug: firebaseDebug.replaceAll(/(?<=\/callback\?\S*code=)[^&\s]+/g, ""),
      database: JSON.stringify(await dumpDatabase(stack.database)),
      topic: JSON.stringify(stack.subscriber.received),
      pages: pages.join("\n"),
    };
    const found = Object.entries(places).map(([place, text]) => ({
      place,
      secrets: secrets.filter((secret) => spellings(secret).some((each) => text.includes(each))),
    }));
    expect(found.filter((each) => each.secrets.length > 0)).toEqual([]);
    // They were all there to be looked through.
    expect(places["firebase"]).toContain('"event":"user_connected"');
    expect(places["firebase"]).toContain('"event":"user_flagged"');
    expect(firebaseDebug).toContain("/callback?");
    expect(places["database"]).toContain('"refreshToken":"v2.local.');
    expect(places["topic"]).toContain("mailbox.reauthorization_required");
    expect(places["pages"]).toContain("eve@example.com");
  });
});

function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString("hex"),
    // Without its last characters, which depend on what follows.
    bytes.toString("base64").replace(/.{0,3}=*$/, ""),
    bytes.toString("base64url").replace(/.{3}$/, ""),
  ];
}
