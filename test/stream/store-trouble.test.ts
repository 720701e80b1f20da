import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EN } from "../../functions/src/texts/en.ts";
import type { UserPatch, UserStore } from "../../functions/src/domain/user.ts";
import { begin, cookieHeader, leadsTo, linkOf } from "../support/flow.ts";
import { type Browser, FROM_OUR_PAGE, openBrowser } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

/**
 * Goal: a person who comes while the store is in trouble gets a page that says to try again, and
 * loses nothing: no connection half-made, and no grant ended that may be the one in use.
 */

const ADA = "ada@example.com";
const APPLICATION = "https://app.example";
const MINUTE_MS = 60_000;
/** What the store says, which no response and no record may contain. */
const SAID = "7 PERMISSION_DENIED: projects/secretive";

const METHODS = ["find", "update", "authorize", "exists"] as const;

/** As the Firestore client rejects: an error with a gRPC status code. */
const refusal = () => Object.assign(new Error(SAID), { code: 7 });

/** The store answers this many more times, and then no more until it is fixed. */
function breakAfter(answers: number, users: UserStore): { fix(): void; isBroken(): boolean } {
  const sound = { ...users };
  let left = answers;
  const may = <T>(perform: () => Promise<T>): Promise<T> => {
    left -= 1;
    return left < 0 ? Promise.reject(refusal()) : perform();
  };
  users.find = (...args) => may(() => sound.find(...args));
  users.update = (...args) => may(() => sound.update(...args));
  users.authorize = (...args) => may(() => sound.authorize(...args));
  users.exists = (...args) => may(() => sound.exists(...args));
  return {
    fix() {
      for (const name of METHODS) Object.assign(users, { [name]: sound[name] });
    },
    isBroken: () => left < 0,
  };
}

describe("while the store does not answer", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario({ env: { RETURN_TO_URLS: `${APPLICATION}/done` } });
  });
  afterEach(() => scenario.close());

  const down = (answers = 0) => breakAfter(answers, scenario.users);
  const holder = (email: string) =>
    scenario.users.dump().users.find(({ emailAddress }) => emailAddress === email);

  async function expectTryLater(response: Response, again: string): Promise<void> {
    expect(response.status).toBe(503);
    expect(response.headers.get("content-type")).toContain("text/html");
    const page = await response.text();
    expect(page).toContain(EN.errors.try_later.title);
    expect(page).toContain(`href="${scenario.publicUrl}${again.replaceAll("&", "&amp;")}"`);
    expect(page).not.toContain("PERMISSION_DENIED");
  }

  /** Each failure of the store is told once, by its class. */
  function expectLogged(times: number): void {
    const records = scenario.logged("request_failed");
    expect(records).toHaveLength(times);
    for (const record of records) {
      expect(record).toMatchObject({
        severity: "ERROR",
        message: "a request failed: the store did not answer",
        error: "Error (7)",
      });
    }
    expect(scenario.logs.join("\n")).not.toContain("PERMISSION_DENIED");
    scenario.logs.splice(0);
  }

  it("asks a person who returns from Google to try again, at any failing step", async () => {
    const halves: (string | undefined)[] = [];
    for (let answers = 0; ; answers++) {
      const email = `person${answers}@example.com`;
      scenario.emulator.createAccount({ email });
      const { browser, back } = await begin(scenario, email);
      const cookie = cookieHeader(browser);
      scenario.emulator.resetCalls();
      const store = down(answers);
      const answer = await browser.ask(back.href);
      if (!store.isBroken()) break;
      expect(answer.status).toBe(303);
      expect(leadsTo(answer, scenario)).toBe("/refused/try_later");
      await expectTryLater(await browser.ask(`${scenario.publicUrl}/refused/try_later`), "/start");
      // An answer that got lost is given again: Google may end the grant of a code that comes twice.
      const repeated = await fetch(back, { headers: { cookie }, redirect: "manual" });
      expect(leadsTo(repeated, scenario)).toBe("/refused/try_later");
      expect(scenario.emulator.countCalls("token.code")).toBe(1);
      expectLogged(1);
      // What is stored may be this very grant.
      expect(scenario.emulator.countCalls("revoke")).toBe(0);
      store.fix();

      halves.push(holder(email)?.status);
      if (holder(email) !== undefined) await expectStream(email);
      expect((await scenario.connect(email, { exists: true, browser })).status).toBe(200);
      await expectStream(email);
    }
    expect(scenario.stored(`person${halves.length}@example.com`).status).toBe("active");
    // Before the one write there is nothing, after it everything.
    expect(new Set(halves)).toEqual(new Set([undefined, "active"]));
    expect(halves.indexOf("active")).toBe(halves.lastIndexOf(undefined) + 1);
  });

  /** Connected in full: what Gmail tells arrives, and subscribers know of the connection. */
  async function expectStream(email: string): Promise<void> {
    const { messageId } = scenario.emulator.deliver(email);
    scenario.clock.advance(5 * MINUTE_MS);
    await scenario.settled();
    await scenario.runSchedule("mailboxReconciliation");
    const told = scenario.events(email);
    expect(told.map(({ json }) => json["messageId"])).toContain(messageId);
    const generation = scenario.stored(email).grant.generation;
    const connected = told.filter(
      ({ attributes }) => attributes["ce-type"] === "mailbox.connected",
    );
    expect(connected.map(({ json }) => json["generation"])).toContain(generation);
  }

  it("keeps the way back to the application", async () => {
    scenario.emulator.createAccount({ email: ADA });
    const wish = `?return_to=${encodeURIComponent(`${APPLICATION}/done`)}&app_state=s1`;
    const { browser, back } = await begin(scenario, ADA, { query: wish });
    const store = down();
    const led = await browser.ask(back.href);
    expect(leadsTo(led, scenario)).toBe(`/refused/try_later${wish}`);
    store.fix();
    const again = await begin(scenario, ADA, { browser, query: wish });
    const done = await again.browser.ask(again.back.href);
    expect(new URL(done.headers.get("location") ?? "").origin).toBe(APPLICATION);
  });

  it("leads a person who used a link back to it, and it works once the store answers", async () => {
    await scenario.connect(ADA);
    scenario.emulator.changePassword(ADA);
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    const link = linkOf(scenario, ADA);
    const path = link.slice(scenario.publicUrl.length);
    const browser = openBrowser();
    const press = async () => {
      const pressed = await browser.post(link, {});
      const to = pressed.headers.get("location") ?? "";
      return browser.ask(await scenario.emulator.consent(to, { account: ADA }));
    };
    const pressed = await browser.post(link, {});
    const back = await scenario.emulator.consent(pressed.headers.get("location") ?? "", {
      account: ADA,
    });

    const store = down();
    expect(leadsTo(await browser.ask(back), scenario)).toBe(`${path}?refused=try_later`);
    await expectTryLater(await browser.ask(`${link}?refused=try_later`), path);
    await expectTryLater(await browser.ask(link), path);
    await expectTryLater(await browser.post(link, {}), path);
    expectLogged(4);
    store.fix();
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    expect((await browser.ask(link)).status).toBe(200);
    expect(leadsTo(await press(), scenario)).toBe("/");
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    expect(scenario.events(ADA).map(({ json }) => json["messageId"])).toContain(messageId);
  });

  it("shows a signed-in person a page everywhere, and a stranger everything that needs no store", async () => {
    const { browser } = await scenario.connect(ADA);
    const { publicUrl } = scenario;
    const csrf = /name="csrf" value="([^"]+)"/.exec(
      await (await browser.get(publicUrl)).text(),
    )?.[1];
    const form = { csrf: csrf ?? "" };
    const wish = `?return_to=${encodeURIComponent(`${APPLICATION}/done`)}&app_state=s1`;
    const before = scenario.users.dump();

    const store = down();
    await expectTryLater(await browser.ask(`${publicUrl}/`), "/");
    await expectTryLater(await browser.ask(`${publicUrl}/?code=c&state=s`), "/");
    await expectTryLater(await browser.ask(`${publicUrl}/start`, FROM_OUR_PAGE), "/start");
    expect((await browser.ask(`${publicUrl}/start${wish}`)).status).toBe(200);
    await expectTryLater(await browser.post(`${publicUrl}/disconnect`, form), "/");
    expectLogged(4);
    const stranger = openBrowser();
    expect((await stranger.ask(`${publicUrl}/`)).status).toBe(200);
    expect((await stranger.ask(`${publicUrl}/start`)).status).toBe(303);
    store.fix();
    expect(scenario.users.dump()).toEqual(before);
    expect((await browser.post(`${publicUrl}/disconnect`, form)).status).toBe(200);
  });

  it("finishes an interrupted disconnect later", async () => {
    const { browser } = await scenario.connect(ADA);
    const { publicUrl } = scenario;
    const csrf = /name="csrf" value="([^"]+)"/.exec(
      await (await browser.get(publicUrl)).text(),
    )?.[1];
    // The session's user, and the write that ends the connection.
    const store = down(2);
    const answer = await browser.post(`${publicUrl}/disconnect`, { csrf: csrf ?? "" });
    await expectTryLater(answer, "/");
    store.fix();
    expect(scenario.stored(ADA).status).toBe("disconnected");
    scenario.clock.advance(5 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).grant).not.toHaveProperty("refreshToken");
    expect(scenario.emulator.account(ADA).refreshTokens).toEqual([]);
    const types = scenario.events(ADA).map(({ attributes }) => attributes["ce-type"]);
    expect(types).toEqual(["mailbox.connected", "mailbox.disconnected"]);
  });
});

describe("while other writers win every race for a document", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  /** Refuses the writes that `isLost` names, as Firestore does when another write came first. */
  function contend(isLost: (patch: UserPatch) => boolean): () => void {
    const { users } = scenario;
    const { update } = users;
    users.update = (user, patch, changes) =>
      isLost(patch) ? Promise.resolve("refused") : update(user, patch, changes);
    return () => void (users.update = update);
  }

  async function disconnect(browser: Browser): Promise<Response> {
    const { publicUrl } = scenario;
    const page = await (await browser.get(publicUrl)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    return browser.post(`${publicUrl}/disconnect`, { csrf });
  }

  it("says that a disconnect failed, and keeps the session so that the person can try again", async () => {
    const { browser } = await scenario.connect(ADA);
    const relax = contend(({ status }) => status === "disconnected");
    const refused = await disconnect(browser);
    expect(refused.status).toBe(503);
    expect(await refused.text()).toContain(EN.errors.try_later.title);
    expect(scenario.stored(ADA).status).toBe("active");
    expect(scenario.emulator.countCalls("revoke")).toBe(0);

    relax();
    expect((await disconnect(browser)).status).toBe(200);
    expect(scenario.stored(ADA).status).toBe("disconnected");
    expect(scenario.emulator.account(ADA).refreshTokens).toEqual([]);
  });

  it("removes the tokens of a disconnected user later, and logs that they are still stored", async () => {
    const { browser } = await scenario.connect(ADA);
    const relax = contend(({ grant }) => grant !== undefined && grant.refreshToken === undefined);
    expect((await disconnect(browser)).status).toBe(200);
    expect(scenario.logged("disconnect_unfinished")).toHaveLength(1);
    expect(scenario.stored(ADA)).toMatchObject({ status: "disconnected" });
    relax();
    scenario.clock.advance(5 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).grant).not.toHaveProperty("refreshToken");
  });

  it("does not use a response whose rotated refresh token could not be stored", async () => {
    await scenario.connect(ADA);
    scenario.clock.advance(120 * MINUTE_MS);
    scenario.emulator.settings.refreshTokenRotations = 1;
    const relax = contend(({ grant, historyId }) => grant !== undefined && historyId === undefined);
    scenario.emulator.resetCalls();
    scenario.emulator.setPush({ kind: "none" });
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(360 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.logged("refresh_token_not_saved")).toHaveLength(1);
    expect(scenario.emulator.countCalls("history.list")).toBe(0);
    relax();
  });
});
