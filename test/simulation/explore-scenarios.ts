import type { Context } from "../../functions/src/context.ts";
import { type User, parseUserId } from "../../functions/src/domain/user.ts";
import { pause } from "../../functions/src/grant/pause.ts";
import { resume } from "../../functions/src/mailbox/resume.ts";
import { snapshotNow } from "../../infra/cli/mailboxes/actions.ts";
import { notificationData } from "../gmail-emulator/notifications.ts";
import { openBrowser } from "./browser.ts";
import type { End } from "./fleet.ts";
import type { Parameters } from "./parameters.ts";
import type { Person } from "./persons.ts";
import type { Stage } from "./simulate.ts";

/** Something that happens once, at any point of a window. */
export interface Act {
  label: string;
  play(): void;
}

/** One mailbox, and how much is to happen in it. */
export interface Scene extends Stage {
  person: Person;
  size: Size;
}

/** How large a world is. */
export interface Size {
  instances: number;
  /** Records of history, two on a page. */
  records: number;
  /** Blows in one run, at most. */
  blows: number;
}

/** From the smallest on, which CI explores. */
export const SIZES: readonly [Size, ...Size[]] = [
  { instances: 3, records: 4, blows: 0 },
  { instances: 2, records: 2, blows: 1 },
  { instances: 2, records: 3, blows: 1 },
  { instances: 2, records: 4, blows: 1 },
  { instances: 3, records: 4, blows: 1 },
  { instances: 3, records: 4, blows: 2 },
];

/** A small world, in which everything that can happen is tried in every order. */
export interface Scenario {
  name: string;
  /** It has more states than CI has time for, so only sizes with blows have it. */
  isLarge?: boolean;
  parameters?: Partial<Parameters>;
  /** Each prepares one stretch of time, so many minutes after the start, and says what happens in it. */
  windows: readonly { minute: number; open(scene: Scene): Act[] }[];
}

const GMAIL_TOPIC = "projects/demo-gmail-push/topics/gmail-notifications";
const PUBLIC_URL = "https://connect.example.com";
const SCOPES = ["https://www.googleapis.com/auth/gmail.metadata"];
const REDELIVERED_MS = 10_000;
const DAY = 24 * 3_600_000;

/** When everybody has connected, and nothing is due. */
const CALM = 20;
/** Longer than anything takes to settle in these worlds. */
const SETTLED = CALM + 5;

/** So many messages come; returns the ids of their records. Their notifications are acts. */
function arrive({ google: { model }, checks, person }: Scene, count: number): string[] {
  model.loseNotifications(count);
  const ids = Array.from({ length: count }, () => model.deliver(person.sub).historyId);
  // Where no watch was, none was lost, and the next one must not be.
  model.loseNotifications(0);
  checks.touched(person.sub);
  return ids;
}

/** A message whose record stays hidden until it is revealed. */
function hidden(scene: Scene): Act[] {
  const { google, person } = scene;
  google.model.setIndexLag(person.sub, { kind: "held" });
  arrive(scene, 1);
  google.model.setIndexLag(person.sub, { kind: "none" });
  return [];
}

function reveal({ google, checks, person }: Scene): Act {
  return act("the hidden record shows", () => {
    google.model.reveal(person.sub);
    checks.touched(person.sub);
  });
}

function lastRecord({ google, person }: Scene): string | undefined {
  return google.model.account(person.sub).history.at(-1)?.id;
}

function act(label: string, play: () => void): Act {
  return { label, play };
}

/** Pub/Sub delivers a notification, again and again until it is acknowledged. */
function push(scene: Scene, historyId = "0"): Act {
  const { world, fleet, checks, person } = scene;
  const { sub, email: emailAddress } = person;
  const at = world.scheduler.now();
  const notification = { topicName: GMAIL_TOPIC, sub, emailAddress, historyId, at };
  const message = {
    data: notificationData(notification, "string"),
    messageId: `push-${historyId}`,
    publishTime: new Date(at).toISOString(),
  };
  const deliver = () => {
    fleet.invoke(
      "gmailNotification",
      `push ${historyId}`,
      (receiver) => receiver.gmailNotification({ data: { message } }),
      ({ kind }: End<void>) => {
        if (kind === "resolved") checks.onAcknowledged(notification);
        else world.scheduler.at(world.scheduler.now() + REDELIVERED_MS, deliver);
      },
    );
  };
  return act(`push ${historyId}`, deliver);
}

function schedule({ fleet }: Scene, name: "watchRenewal" | "mailboxReconciliation"): Act {
  return act(name, () => {
    fleet.invoke(
      name,
      name,
      (receiver) => receiver[name](),
      () => {},
    );
  });
}

/** What an operator does with this person's mailbox. */
function command(
  { fleet, person }: Scene,
  label: string,
  run: (user: User, context: Context) => Promise<unknown>,
): Act {
  return act(label, () => {
    const id = parseUserId(person.sub);
    fleet.invoke(
      "connect",
      label,
      async (_, { context }) => {
        const user = id === undefined ? undefined : await context.users.find(id);
        if (user !== undefined) await run(user, context);
      },
      () => {},
    );
  });
}

function pausing(scene: Scene): Act {
  return command(scene, "an operator pauses", (user, context) =>
    pause(user, "operator_request", context),
  );
}

function resuming(scene: Scene): Act {
  return command(scene, "an operator resumes", resume);
}

/** The mailbox, and its watch, are due from now on. */
function makeDue({ store, world, person }: Scene): void {
  const now = new Date(world.scheduler.now());
  const user = store.stored().find(({ id }) => id === person.sub);
  if (user?.status !== "active") throw new Error("the mailbox is not connected");
  const sync = { ...user.sync, dueAt: now, dueReason: "quiet" as const };
  store.edit(user.id, { sync, watch: { ...user.watch, renewAt: now } });
}

function endGrant({ google, person }: Scene): void {
  google.model.changePassword(person.email);
  google.endTokens(person.sub);
}

/** The person allows access, without a pause on any page. */
async function authorize({ fleet, google: { model }, person }: Scene): Promise<void> {
  const browser = openBrowser(fleet);
  const asked = (await browser.get(`${PUBLIC_URL}/start`))?.location;
  const checked = asked && model.checkAuthorization(new URL(asked).searchParams);
  if (checked === undefined || checked === "" || checked.kind !== "request") return;
  const answer = { account: person.email, allow: true, scopes: SCOPES };
  const decided = model.decideAuthorization(checked.request, answer);
  if (decided.kind === "redirect") await browser.get(decided.url);
}

async function disconnect({ fleet }: Scene, { browser }: Person): Promise<void> {
  const page = await browser.get(`${PUBLIC_URL}/`);
  const csrf = /name="csrf" value="([^"]+)"/.exec(page?.text ?? "")?.[1];
  if (csrf !== undefined && fleet.instances.length > 0) {
    await browser.post(`${PUBLIC_URL}/disconnect`, { csrf });
  }
}

function rewind(scene: Scene): Act {
  const { google, checks, person } = scene;
  return act("the history is rewound", () => {
    const { head } = google.model.position(person.sub);
    google.model.rewindHead(person.sub, String(head - 1_000n));
    // Otherwise nothing would show that it went back.
    arrive(scene, 1);
    checks.rewound(person.sub);
  });
}

/** Every small world. */
export const SCENARIOS: readonly [Scenario, ...Scenario[]] = [
  {
    name: "two notifications",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records);
          return [push(scene, ids.at(0)), push(scene, ids.at(-1))];
        },
      },
    ],
  },
  {
    name: "a record in between",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records - 1);
          const later = act("a record", () => void arrive(scene, 1));
          return [push(scene, ids.at(-1)), later, schedule(scene, "mailboxReconciliation")];
        },
      },
    ],
  },
  {
    name: "a notification and a mailbox that is due",
    windows: [
      {
        minute: CALM,
        open(scene) {
          makeDue(scene);
          const ids = arrive(scene, scene.size.records);
          return [push(scene, ids.at(-1)), schedule(scene, "mailboxReconciliation")];
        },
      },
    ],
  },
  {
    name: "a record that shows late",
    windows: [
      { minute: CALM - 1, open: (scene) => hidden(scene) },
      {
        minute: CALM,
        open(scene) {
          const first = lastRecord(scene);
          const ids = arrive(scene, scene.size.records - 1);
          return [push(scene, first), push(scene, ids.at(-1)), reveal(scene)];
        },
      },
    ],
  },
  {
    name: "a record that shows after everything else has settled",
    windows: [
      { minute: CALM - 1, open: (scene) => hidden(scene) },
      {
        minute: CALM,
        open(scene) {
          const first = lastRecord(scene);
          arrive(scene, scene.size.records - 1);
          return [push(scene, first)];
        },
      },
      {
        minute: SETTLED,
        open(scene) {
          makeDue(scene);
          const [id] = arrive(scene, 1);
          return [reveal(scene), push(scene, id), schedule(scene, "mailboxReconciliation")];
        },
      },
    ],
  },
  {
    name: "a history that has expired",
    isLarge: true,
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records);
          scene.google.model.expireHistory(scene.person.sub);
          return [push(scene, ids.at(0)), push(scene, ids.at(-1))];
        },
      },
    ],
  },
  {
    name: "a history that expires",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const { google, person, size } = scene;
          const ids = arrive(scene, size.records);
          const expire = () => google.model.expireHistory(person.sub);
          return [push(scene, ids.at(-1)), act("the history expires", expire)];
        },
      },
    ],
  },
  {
    name: "a history of many pages that has expired",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, 2 * scene.size.records);
          scene.google.model.expireHistory(scene.person.sub);
          return [push(scene, ids.at(-1)), act("a record", () => void arrive(scene, 1))];
        },
      },
    ],
  },
  {
    name: "every kind of record, and pages without any",
    parameters: { emptyPages: 1 },
    windows: [
      {
        minute: CALM,
        open(scene) {
          const { google, checks, person } = scene;
          const { model } = google;
          model.loseNotifications(4);
          const { messageId } = model.deliver(person.sub);
          model.addLabels(person.sub, [messageId], ["STARRED"]);
          model.appendRawRecord(person.sub, { messagesAdded: [{ message: { id: 7 } }] });
          const { historyId } = model.deleteMessage(person.sub, [messageId]);
          model.loseNotifications(0);
          checks.touched(person.sub);
          return [push(scene, historyId), schedule(scene, "mailboxReconciliation")];
        },
      },
    ],
  },
  {
    name: "a history that is rewound",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records - 1);
          makeDue(scene);
          return [push(scene, ids.at(-1)), rewind(scene), schedule(scene, "mailboxReconciliation")];
        },
      },
    ],
  },
  {
    name: "a grant that ends",
    windows: [
      {
        minute: CALM,
        open(scene) {
          makeDue(scene);
          const ids = arrive(scene, scene.size.records);
          return [
            push(scene, ids.at(-1)),
            act("the grant ends", () => endGrant(scene)),
            schedule(scene, "mailboxReconciliation"),
          ];
        },
      },
    ],
  },
  {
    name: "another grant",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records);
          endGrant(scene);
          return [
            push(scene, ids.at(-1)),
            act("the person authorizes", () => void authorize(scene)),
          ];
        },
      },
    ],
  },
  {
    name: "another grant while the first one works",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records - 1);
          return [
            push(scene, ids.at(-1)),
            act("the person authorizes", () => void authorize(scene)),
          ];
        },
      },
    ],
  },
  {
    name: "a watch that is renewed",
    windows: [
      {
        minute: CALM,
        open(scene) {
          makeDue(scene);
          const ids = arrive(scene, scene.size.records);
          return [push(scene, ids.at(-1)), schedule(scene, "watchRenewal")];
        },
      },
    ],
  },
  {
    name: "another address",
    windows: [
      {
        minute: CALM,
        open(scene) {
          makeDue(scene);
          scene.persons.rename(scene.person);
          const ids = arrive(scene, scene.size.records - 1);
          return [push(scene, ids.at(-1)), schedule(scene, "watchRenewal")];
        },
      },
      {
        minute: SETTLED,
        open(scene) {
          const ids = arrive(scene, 1);
          return [push(scene, ids.at(-1))];
        },
      },
    ],
  },
  {
    name: "a pause",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records - 1);
          return [push(scene, ids.at(-1)), pausing(scene)];
        },
      },
      { minute: SETTLED, open: (scene) => [resuming(scene)] },
    ],
  },
  {
    name: "the end of a pause",
    windows: [
      { minute: CALM, open: (scene) => [pausing(scene)] },
      {
        minute: SETTLED,
        open(scene) {
          const ids = arrive(scene, scene.size.records);
          return [push(scene, ids.at(-1)), resuming(scene)];
        },
      },
    ],
  },
  {
    name: "a snapshot",
    parameters: { rude: new Set(["snapshots"]) },
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records);
          return [push(scene, ids.at(-1))];
        },
      },
      {
        minute: SETTLED,
        open(scene) {
          const since = new Date(scene.world.scheduler.now() - DAY);
          const request = command(scene, "an operator asks for a snapshot", (user, context) =>
            snapshotNow(user, since, context),
          );
          return [request, schedule(scene, "mailboxReconciliation")];
        },
      },
    ],
  },
  {
    name: "a person who leaves",
    windows: [
      {
        minute: CALM,
        open(scene) {
          const ids = arrive(scene, scene.size.records);
          makeDue(scene);
          return [
            push(scene, ids.at(-1)),
            act("the person disconnects", () => {
              scene.person.wants = "disconnected";
              void disconnect(scene, scene.person);
            }),
          ];
        },
      },
    ],
  },
];

export function isOfSize({ isLarge = false }: Scenario, { blows }: Size): boolean {
  return blows > 0 || !isLarge;
}
