import { parseUserId } from "../../functions/src/domain/user.ts";
import { type Browser, openBrowser } from "./browser.ts";
import type { Fleet } from "./fleet.ts";
import type { SimulatedGoogle } from "./google.ts";
import type { SimulatedStore } from "./store.ts";
import type { World } from "./world.ts";

/** Somebody with a mailbox, and what they want done with it. */
export interface Person {
  /** As ID tokens have it; it can change. */
  email: string;
  /** When it last changed. */
  renamedAt?: number;
  readonly sub: string;
  browser: Browser;
  wants: "connected" | "disconnected";
  isBusy: boolean;
  /** Once disconnected, they do not change their mind. */
  staysAway?: boolean;
}

export interface Persons {
  readonly all: readonly Person[];
  /** The person begins to connect at this time, and tries again until it has worked. */
  connect(person: Person, at: number, link?: string): void;
  disconnect(person: Person, at: number): void;
  /** Google gives the person another address. */
  rename(person: Person): void;
  /** The address of one goes to the other, who allows the receiver again under it. */
  takeAddress(person: Person, from: Person): void;
  /** What the stored status of this person's user is. */
  isActive(person: Person): boolean;
  /** Somebody else in front of the browser, for answers that must be refused. */
  stranger: string;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const SCOPES = ["https://www.googleapis.com/auth/gmail.metadata"];

export function createPersons(
  world: World,
  services: { fleet: Fleet; google: SimulatedGoogle; store: SimulatedStore; publicUrl: string },
): Persons {
  const { fleet, google, store, publicUrl } = services;
  const { scheduler, parameters, count } = world;
  const random = world.random("persons");
  const { model } = google;
  const stranger = "stranger@example.com";
  model.createAccount({ email: stranger });

  const all = Array.from({ length: parameters.mailboxes }, (_, index): Person => {
    const email = `person${index + 1}@example.com`;
    const historyId = 9_007_199_254_740_993n + BigInt(random.int(1_000_000_000, 2_000_000_000));
    const { sub } = model.createAccount({ email, historyId: String(historyId) });
    return { email, sub, browser: openBrowser(fleet), wants: "connected", isBusy: false };
  });

  const stored = ({ sub }: Person) => {
    const id = parseUserId(sub);
    return id === undefined ? undefined : store.storedUser(id);
  };
  const isActive = (person: Person) => stored(person)?.status === "active";

  function connect(person: Person, at: number, link?: string): void {
    scheduler.at(at, () => {
      if (person.isBusy || person.wants !== "connected" || isActive(person)) return;
      void tryToConnect(person, link);
    });
  }

  async function tryToConnect(person: Person, link: string | undefined): Promise<void> {
    person.isBusy = true;
    const isConnected = await authorize(person, link);
    person.isBusy = false;
    if (isConnected) return;
    const again = scheduler.now() + random.between(30 * SECOND, 20 * MINUTE);
    connect(person, again, random.chance(0.5) ? link : undefined);
  }

  async function authorize(person: Person, link: string | undefined): Promise<boolean> {
    const before = stored(person);
    const asked = link === undefined ? await start(person) : await followLink(person, link);
    if (asked === undefined) return false;
    await pause(random.between(SECOND, 30 * SECOND));
    const back = consent(person, asked);
    if (back === undefined) return false;
    const page = await person.browser.get(back);
    if (page?.location?.startsWith("https://accounts.google.com/") === true) {
      // Google gave no refresh token, and the receiver asks for consent.
      const again = consent(person, page.location);
      return again !== undefined && isWelcome(await person.browser.get(again));
    }
    const isConnected = isWelcome(page);
    if (isConnected && before !== undefined) {
      const wasDisconnected = before.status === "disconnected";
      count(wasDisconnected ? "person connected again after a disconnect" : "person re-authorized");
      if (stored(person)?.status === "paused") count("person authorized a paused mailbox");
    }
    return isConnected;
  }

  async function start({ browser }: Person): Promise<string | undefined> {
    return (await browser.get(`${publicUrl}/start`))?.location;
  }

  async function followLink({ browser }: Person, link: string): Promise<string | undefined> {
    const page = await browser.get(link);
    if (page?.status !== 200) return undefined;
    await pause(random.between(SECOND, 10 * SECOND));
    return (await browser.post(link, {}))?.location;
  }

  /** Google's page, and what the person does on it. */
  function consent({ email }: Person, url: string): string | undefined {
    const checked = model.checkAuthorization(new URL(url).searchParams);
    if (checked.kind !== "request") return undefined;
    const { request } = checked;
    const silent = model.silentRedirect(request);
    if (silent !== undefined) return silent;
    const isMistaken = !world.isHealing && parameters.family === "reconciled";
    const allow = !(isMistaken && random.chance(0.04));
    if (!allow) count("consent declined");
    const scopes = isMistaken && random.chance(0.04) ? [] : SCOPES;
    if (allow && scopes.length === 0) count("re-authorization refused: scope unticked");
    const isStranger = isMistaken && request.loginHint !== undefined && random.chance(0.06);
    if (allow && isStranger) count("re-authorization refused: another account");
    const account = isStranger ? stranger : email;
    const decided = model.decideAuthorization(request, { account, allow, scopes });
    return decided.kind === "redirect" ? decided.url : undefined;
  }

  let names = 0;

  function rename(person: Person): void {
    names += 1;
    person.email = `renamed${names}@example.com`;
    model.renameAddress(person.sub, person.email);
    person.renamedAt = scheduler.now();
    count("address renamed");
    world.trace(() => `${person.sub.slice(-4)} is now ${person.email}`);
  }

  function takeAddress(person: Person, from: Person): void {
    const { email } = from;
    rename(from);
    model.renameAddress(person.sub, email);
    person.email = email;
    person.renamedAt = scheduler.now();
    count("address taken over by another person");
    world.trace(() => `${person.sub.slice(-4)} is now ${email}`);
    scheduler.at(scheduler.now() + random.between(MINUTE, 10 * MINUTE), () => {
      if (!person.isBusy && person.wants === "connected") void tryToConnect(person, undefined);
    });
  }

  function disconnect(person: Person, at: number): void {
    scheduler.at(at, () => {
      const isLive = isActive(person) || stored(person)?.status === "paused";
      if (!person.isBusy && isLive) void tryToLeave(person);
    });
  }

  async function tryToLeave(person: Person): Promise<void> {
    person.isBusy = true;
    await leave(person);
    person.isBusy = false;
  }

  async function leave(person: Person): Promise<void> {
    const page = await person.browser.get(`${publicUrl}/`);
    const csrf = /name="csrf" value="([^"]+)"/.exec(page?.text ?? "")?.[1];
    if (csrf === undefined) return;
    person.wants = "disconnected";
    count("person disconnected");
    await person.browser.post(`${publicUrl}/disconnect`, { csrf });
    if (person.staysAway === true || !random.chance(0.6)) return;
    await pause(random.between(10 * MINUTE, 180 * MINUTE));
    person.wants = "connected";
    connect(person, scheduler.now() + SECOND);
  }

  /** The page that says "connected"; a refusal leads to another one. */
  function isWelcome(page: { location: string | undefined } | undefined): boolean {
    return page?.location === `${publicUrl}/`;
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => scheduler.at(scheduler.now() + ms, resolve));
  }

  return { all, stranger, connect, disconnect, rename, takeAddress, isActive };
}
