import { type Parameters, NO_INCIDENTS, NO_RATES } from "./parameters.ts";
import type { Person } from "./persons.ts";
import { POLITE } from "./rudeness.ts";
import type { Stage } from "./simulate.ts";

/** One mailbox in a world without a fault, and what is made to happen in it. */
export interface Scene extends Stage {
  person: Person;
  /** So many minutes after the start. */
  at(minute: number, act: () => void): void;
}

/** Something that the receiver does for one user, with effects that can be counted. */
export interface Flow {
  name: string;
  /** Its effects lie between these minutes of the run. */
  from: number;
  upTo: number;
  parameters?: Partial<Parameters>;
  /** Some of its effects, in order: without them it is not the flow that it is meant to be. */
  passes: readonly string[];
  play(scene: Scene): void;
  /** A wish that slept meets a newer one: which of them wins is not promised. */
  isContested?: boolean;
  /** What the person does when a page does not come. */
  tryAgain?(scene: Scene): void;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** When everybody has connected for certain, and nothing is due for long. */
const CALM = 20;
const GMAIL_TOPIC = "projects/demo-gmail-push/topics/gmail-notifications";
const OTHER_TOPIC = "projects/demo-gmail-push/topics/another";

/** Nothing goes wrong by itself, and nothing is due while a flow is under way but what it does. */
export function calmParameters(
  derived: Parameters,
  { upTo, parameters }: Pick<Flow, "upTo" | "parameters">,
): Parameters {
  return {
    ...derived,
    family: "reconciled",
    instances: 2,
    mailboxes: 1,
    chaosMs: upTo * MINUTE,
    acts: 0,
    settleMs: 2 * MINUTE,
    quietMs: 2 * HOUR,
    renewAfterMs: 24 * HOUR,
    pagesMax: 40,
    pageMax: 2,
    emptyPages: 0,
    idStepMax: 40,
    notificationIdAhead: "no",
    startAboveHead: "empty",
    skewMsMax: 0,
    lagMsMax: 0,
    rates: NO_RATES,
    incidents: NO_INCIDENTS,
    rude: POLITE,
    ...parameters,
  };
}

/** Mail comes; of that which is untold no notification reaches us. */
function arrive(
  { google, checks, person }: Scene,
  { told = 0, untold = 0 }: { told?: number; untold?: number },
): void {
  google.model.loseNotifications(untold);
  for (let left = told + untold; left > 0; left--) google.model.deliver(person.email);
  checks.touched(person.sub);
}

function endGrant({ google, person }: Scene): void {
  google.model.changePassword(person.email);
  google.endTokens(person.sub);
}

/** The person does nothing by themselves between two minutes. */
function keepAway({ person, at }: Scene, from: number, upTo: number): void {
  at(from, () => {
    person.isBusy = true;
  });
  at(upTo, () => {
    person.isBusy = false;
  });
}

function connectAgain({ persons, person, world }: Scene): void {
  person.isBusy = false;
  persons.connect(person, world.scheduler.now());
}

function disconnectAgain({ persons, person, world }: Scene): void {
  person.isBusy = false;
  persons.disconnect(person, world.scheduler.now());
}

/** Another deployment has made a watch of its own, on another topic of the same project. */
function takeWatch({ google: { model, tokens }, person }: Scene): void {
  const live = [...tokens].findLast(([, { kind, sub }]) => kind === "access" && sub === person.sub);
  const [accessToken = ""] = live ?? [];
  model.addTopic(OTHER_TOPIC);
  model.gmail({ method: "users.stop", accessToken, userId: "me" });
  model.loseNotifications(1);
  const body = { topicName: OTHER_TOPIC };
  model.gmail({ method: "users.watch", accessToken, userId: "me", body });
}

/** Gmail forgets messages, which can still be found, and a label, which only a gap can tell. */
function loseHistory(scene: Scene): void {
  const { model } = scene.google;
  const { email, sub } = scene.person;
  arrive(scene, { untold: 9 });
  model.loseNotifications(1);
  model.star(
    email,
    model
      .account(sub)
      .messages.map(({ id }) => id)
      .slice(0, 1),
  );
  model.expireHistory(email);
  arrive(scene, { told: 1 });
}

const TO_THE_END_OF_A_PAGE = ["history.list", "publish 2", "users.update"];

const MAIL = [
  "users.listDue followUp.dueAt",
  "users.update",
  "mail.send",
  "users.find",
  "users.update",
];

const DISCONNECT = [
  "users.find",
  "users.find",
  "users.update",
  "users.find",
  "users.stop",
  "token.revoke",
  "users.find",
  "users.update",
  "publish 1",
  "users.find",
  "users.update",
];

export const FLOWS: readonly Flow[] = [
  {
    name: "a notification of three pages",
    from: CALM,
    upTo: 40,
    passes: [
      "users.findByEmailAddress",
      ...TO_THE_END_OF_A_PAGE,
      ...TO_THE_END_OF_A_PAGE,
      "history.list",
      "publish 1",
      "users.update",
    ],
    play(scene) {
      scene.at(CALM, () => arrive(scene, { untold: 4, told: 1 }));
    },
  },
  {
    name: "more pages than one run may read",
    from: CALM,
    upTo: 40,
    parameters: { pagesMax: 2 },
    passes: [
      "users.findByEmailAddress",
      ...TO_THE_END_OF_A_PAGE,
      "history.list",
      "publish 2",
      "users.update",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "history.list",
      "publish 1",
      "users.update",
    ],
    play(scene) {
      scene.at(CALM, () => arrive(scene, { untold: 4, told: 1 }));
    },
  },
  {
    name: "a notification of what is readable a minute later",
    from: CALM,
    upTo: 40,
    passes: [
      "users.findByEmailAddress",
      "history.list",
      "history.list",
      "history.list",
      "history.list",
      "users.update",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "history.list",
      "users.update",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "history.list",
      "publish 1",
      "users.update",
    ],
    play(scene) {
      const { model } = scene.google;
      const { email } = scene.person;
      scene.at(CALM, () => {
        model.setIndexLag(email, { kind: "delayed", ms: 80 * SECOND });
        arrive(scene, { told: 1 });
        model.setIndexLag(email, { kind: "none" });
      });
    },
  },
  {
    name: "a notification of an id above all records",
    from: CALM,
    upTo: 40,
    parameters: { notificationIdAhead: "past_head" },
    passes: [
      "users.findByEmailAddress",
      "history.list",
      "publish 1",
      "users.update",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "history.list",
      "users.update",
    ],
    play(scene) {
      scene.at(CALM, () => arrive(scene, { told: 1 }));
    },
  },
  {
    name: "an expired history",
    from: CALM,
    upTo: 40,
    passes: [
      "users.findByEmailAddress",
      "history.list",
      "users.getProfile",
      "users.update",
      "publish 1",
      "messages.list",
      "messages.get",
      "users.update",
      "messages.list",
      "messages.get",
      "users.update",
      "messages.list",
      "publish 2",
      "users.update",
      "messages.list",
      "publish 8",
      "users.update",
      "history.list",
      "users.update",
    ],
    play(scene) {
      scene.at(CALM, () => loseHistory(scene));
    },
  },
  {
    name: "an expired history, made good in several runs",
    from: CALM,
    upTo: 40,
    parameters: { pagesMax: 1 },
    passes: [
      "users.getProfile",
      "users.update",
      "publish 1",
      "messages.list",
      "users.update",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "messages.list",
      "users.update",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "publish 2",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "publish 8",
      "users.update",
    ],
    play(scene) {
      scene.at(CALM, () => loseHistory(scene));
    },
  },
  {
    name: "a throttled run",
    from: CALM,
    upTo: 40,
    passes: [
      "users.findByEmailAddress",
      "history.list",
      "users.update",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "history.list",
      "publish 1",
      "users.update",
    ],
    play(scene) {
      const { world, at } = scene;
      at(CALM, () => {
        world.rates = { ...NO_RATES, googleThrottles: 1 };
        arrive(scene, { told: 1 });
      });
      at(CALM + 0.2, () => {
        world.rates = NO_RATES;
      });
    },
  },
  {
    name: "a failed run",
    from: CALM,
    upTo: 40,
    passes: [
      "users.findByEmailAddress",
      "history.list",
      "history.list",
      "history.list",
      "users.update",
      "users.listBehind",
      "users.listDue sync.dueAt",
      "history.list",
      "publish 1",
      "users.update",
    ],
    play(scene) {
      const { world, at } = scene;
      at(CALM, () => {
        world.outages.google = true;
        arrive(scene, { told: 1 });
      });
      at(CALM + 0.2, () => {
        world.outages.google = false;
      });
    },
  },
  {
    name: "a rotated refresh token",
    from: CALM,
    upTo: 40,
    passes: [
      "history.list",
      "token.refresh",
      "users.find",
      "users.update",
      "history.list",
      "publish 1",
      "users.update",
    ],
    play(scene) {
      const { world, at, google, person } = scene;
      at(CALM, () => {
        world.rates = { ...NO_RATES, tokenRotates: 1 };
        google.model.expireAccessTokens(person.email);
        arrive(scene, { told: 1 });
      });
      at(CALM + 0.4, () => {
        world.rates = NO_RATES;
      });
    },
  },
  {
    name: "a renewal that finds something new",
    from: 45,
    upTo: 80,
    parameters: { renewAfterMs: HOUR, quietMs: 6 * HOUR },
    passes: [
      "users.listDue watch.renewAt",
      "users.watch",
      "users.update",
      "users.find",
      "history.list",
      "publish 1",
      "users.update",
    ],
    play(scene) {
      scene.at(45, () => arrive(scene, { untold: 1 }));
    },
  },
  {
    name: "a renewal with another watch in the way",
    from: 45,
    upTo: 80,
    parameters: { renewAfterMs: HOUR, quietMs: 6 * HOUR },
    passes: [
      "users.listDue watch.renewAt",
      "users.watch",
      "users.stop",
      "users.watch",
      "users.update",
    ],
    play(scene) {
      scene.at(44, () => takeWatch(scene));
    },
  },
  {
    name: "a first connection",
    from: 0,
    upTo: 15,
    passes: [
      "token.code",
      "jwks",
      "users.find",
      "users.watch",
      "users.authorize",
      "history.list",
      "users.update",
      "users.find",
      "publish 1",
      "users.find",
      "users.update",
    ],
    play() {},
    tryAgain: connectAgain,
  },
  {
    name: "a first connection that cannot be watched yet",
    from: 0,
    upTo: 30,
    passes: [
      "token.code",
      "jwks",
      "users.find",
      "users.watch",
      "users.getProfile",
      "users.authorize",
      "history.list",
      "users.update",
      "publish 1",
      "users.find",
      "users.update",
      "users.listDue watch.renewAt",
      "users.watch",
      "users.update",
    ],
    play({ at, google }) {
      google.model.setTopicPublishing(GMAIL_TOPIC, "forbidden");
      at(8, () => google.model.setTopicPublishing(GMAIL_TOPIC, "allowed"));
    },
    tryAgain: connectAgain,
  },
  {
    name: "a re-authorization with missed changes",
    from: CALM,
    upTo: 40,
    passes: [
      "users.find",
      "users.find",
      "token.code",
      "jwks",
      "users.find",
      "users.watch",
      "users.authorize",
      ...TO_THE_END_OF_A_PAGE,
      "history.list",
      "publish 1",
      "users.update",
      "users.find",
      "publish 1",
      "users.find",
      "users.update",
    ],
    play(scene) {
      const { persons, person, published, at } = scene;
      keepAway(scene, 16, CALM);
      at(16, () => {
        endGrant(scene);
        arrive(scene, { told: 1 });
      });
      at(18, () => arrive(scene, { untold: 2 }));
      at(CALM, () => {
        const links = published.map(({ json }) => json["reauthorizeUrl"]);
        const link = links.find((it) => typeof it === "string");
        persons.connect(person, scene.world.scheduler.now() + SECOND, link);
      });
    },
    tryAgain: connectAgain,
  },
  {
    name: "a grant that is over and given again",
    from: CALM,
    upTo: 22,
    passes: [
      "users.findByEmailAddress",
      "history.list",
      "token.refresh",
      "users.find",
      "token.refresh",
      "users.find",
      "users.find",
      "users.update",
      "publish 1",
      "users.find",
      "users.update",
      ...MAIL,
    ],
    play(scene) {
      keepAway(scene, CALM, 25);
      scene.at(CALM, () => {
        endGrant(scene);
        arrive(scene, { told: 1 });
      });
      // Whoever still sleeps on the first of them finds a new grant when they wake.
      scene.at(22, () => arrive(scene, { told: 1 }));
      scene.at(26, () => connectAgain(scene));
    },
  },
  {
    name: "an announcement that is owed",
    from: CALM + 1,
    upTo: 40,
    passes: [
      "users.listBehind",
      "users.listDue sync.dueAt",
      "users.listDue followUp.dueAt",
      "publish 1",
      "users.find",
      "users.update",
      ...MAIL,
    ],
    play(scene) {
      const { world, at } = scene;
      keepAway(scene, CALM, 40);
      at(CALM, () => {
        world.outages.changesTopic = true;
        endGrant(scene);
        arrive(scene, { told: 1 });
      });
      at(CALM + 1, () => {
        world.outages.changesTopic = false;
      });
    },
  },
  {
    name: "a mail that the server did not take at first",
    from: CALM,
    upTo: 40,
    passes: [...MAIL, ...MAIL],
    play(scene) {
      const { world, at } = scene;
      keepAway(scene, CALM, 45);
      at(CALM, () => {
        world.outages.mailServer = true;
        endGrant(scene);
        arrive(scene, { told: 1 });
      });
      at(CALM + 2, () => {
        world.outages.mailServer = false;
      });
    },
  },
  {
    name: "a reminder on the third day",
    from: 3 * 24 * 60 + CALM,
    upTo: 3 * 24 * 60 + 60,
    parameters: { quietMs: 24 * HOUR },
    passes: MAIL,
    play(scene) {
      keepAway(scene, CALM, 3 * 24 * 60 + 65);
      scene.at(CALM, () => {
        endGrant(scene);
        arrive(scene, { told: 1 });
      });
    },
  },
  {
    name: "an unavailable mailbox",
    from: CALM,
    upTo: 40,
    passes: [
      "users.findByEmailAddress",
      "history.list",
      "users.find",
      "users.update",
      "publish 1",
      "users.find",
      "users.update",
    ],
    play(scene) {
      keepAway(scene, CALM, 180);
      scene.at(CALM, () => {
        arrive(scene, { told: 1 });
        switchMail(scene, "off");
      });
      scene.at(39, () => switchMail(scene, "on"));
    },
  },
  {
    name: "an unavailable mailbox that is there again",
    from: 24 * 60,
    upTo: 24 * 60 + 50,
    parameters: { quietMs: 6 * HOUR },
    passes: [
      "users.listDue followUp.dueAt",
      "token.refresh",
      "users.getProfile",
      "history.list",
      "users.update",
      "history.list",
      "publish 1",
      "users.update",
    ],
    play(scene) {
      keepAway(scene, CALM, 26 * 60);
      scene.at(CALM, () => {
        arrive(scene, { told: 1 });
        switchMail(scene, "off");
      });
      scene.at(60, () => switchMail(scene, "on"));
    },
  },
  {
    name: "a disconnect",
    from: CALM,
    upTo: 40,
    passes: DISCONNECT,
    play({ at, persons, person, world }) {
      person.staysAway = true;
      at(CALM, () => persons.disconnect(person, world.scheduler.now()));
    },
    tryAgain: disconnectAgain,
  },
  {
    name: "a disconnect, and a new connection",
    isContested: true,
    from: CALM,
    upTo: 28,
    passes: DISCONNECT,
    play(scene) {
      const { at, persons, person, world } = scene;
      person.staysAway = true;
      at(CALM, () => persons.disconnect(person, world.scheduler.now()));
      at(30, () => {
        person.wants = "connected";
        connectAgain(scene);
      });
    },
    tryAgain: disconnectAgain,
  },
  {
    name: "a disconnect that is finished later",
    from: CALM,
    upTo: 40,
    passes: [
      "users.find",
      "users.update",
      "users.find",
      "users.stop",
      "token.revoke",
      "publish 1",
      "users.find",
      "users.update",
      "users.find",
      "users.update",
      "users.listDue followUp.dueAt",
      "users.stop",
      "token.revoke",
      "users.find",
      "users.update",
    ],
    play({ at, persons, person, world }) {
      person.staysAway = true;
      at(CALM, () => {
        world.outages.google = true;
        persons.disconnect(person, world.scheduler.now());
      });
      at(CALM + 2, () => {
        world.outages.google = false;
      });
    },
    tryAgain: disconnectAgain,
  },
  {
    name: "a look at a quiet mailbox that was changed in silence",
    from: CALM,
    upTo: 75,
    parameters: { quietMs: HOUR },
    passes: [
      "users.listBehind",
      "users.listDue sync.dueAt",
      "history.list",
      "publish 1",
      "users.update",
      "users.listDue watch.renewAt",
      "users.watch",
      "users.update",
    ],
    play(scene) {
      scene.at(CALM, () => arrive(scene, { untold: 1 }));
    },
  },
  {
    name: "a look at a mailbox that was not quiet",
    from: 25,
    upTo: 75,
    parameters: { quietMs: HOUR },
    passes: [
      "users.listBehind",
      "users.listDue sync.dueAt",
      "users.update",
      "users.listDue followUp.dueAt",
    ],
    play(scene) {
      scene.at(24, () => arrive(scene, { told: 1 }));
    },
  },
];

function switchMail({ google, checks, person }: Scene, state: "on" | "off"): void {
  google.model.setMailService(person.email, state);
  checks.troubled(person.sub, "mail", state === "off");
}
