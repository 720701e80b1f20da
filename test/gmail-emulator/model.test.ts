import { describe, expect, it } from "vitest";
import { createGmailModel, type GmailModel } from "./model.ts";
import type { Notification } from "./notifications.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";
const TOPIC = "projects/demo-gmail-push/topics/gmail-notifications";
const CLIENT = {
  clientId: "client",
  clientSecret: "client-secret",
  redirectUris: ["http://127.0.0.1/callback"],
};
/** Replaces RSA where no signature is verified. */
const SIGNER = {
  sign: () => "signed",
  rotate: () => undefined,
  jwks: () => ({ keys: [] }),
  pems: () => ({}),
};

/** A small generator of numbers that repeat with the seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Connects one mailbox, changes it, reads it: all in process, at an instant of our own. */
function run(seed: number, settings = {}) {
  const notified: Notification[] = [];
  const model = createGmailModel({
    now: () => 1_000_000,
    random: seeded(seed),
    signer: SIGNER,
    clients: [CLIENT],
    settings,
    publish: (notification) => notified.push(notification),
  });
  const { historyId: start } = model.createAccount({ email: ADA });
  const accessToken = connect(model);
  const call = { accessToken, userId: "me" };
  const watch = model.gmail({ ...call, method: "users.watch", body: { topicName: TOPIC } });
  const { messageId } = model.deliver(ADA);
  model.markRead(ADA, messageId);
  const query = new URLSearchParams({ startHistoryId: start });
  const listed = model.gmail({ ...call, method: "history.list", query });
  return { notified, watch, listed, truth: model.account(ADA), secrets: model.secretsIssued() };
}

/** How far apart the first two history ids are. */
function stepOf({ truth }: ReturnType<typeof run>): bigint {
  const [first = 0n, second = 0n] = truth.history.map(({ id }) => BigInt(id));
  return second - first;
}

function connect(model: GmailModel): string {
  const checked = model.checkAuthorization(
    new URLSearchParams({
      client_id: CLIENT.clientId,
      redirect_uri: CLIENT.redirectUris[0] ?? "",
      response_type: "code",
      scope: `openid ${GMAIL_SCOPES.metadata}`,
    }),
  );
  if (checked.kind !== "request") throw new Error(checked.error);
  const scopes = [GMAIL_SCOPES.metadata];
  const decision = { account: ADA, allow: true, scopes };
  const decided = model.decideAuthorization(checked.request, decision);
  if (decided.kind !== "redirect") throw new Error(decided.error);
  const { body } = model.token(
    new URLSearchParams({
      grant_type: "authorization_code",
      client_id: CLIENT.clientId,
      client_secret: CLIENT.clientSecret,
      redirect_uri: CLIENT.redirectUris[0] ?? "",
      code: new URL(decided.url).searchParams.get("code") ?? "",
    }),
  );
  return String((body as Record<string, unknown>)["access_token"]);
}

describe("the model without a server", () => {
  it("notifies and responds before the action returns", () => {
    const { notified, watch, listed, truth } = run(1);
    expect(watch.status).toBe(200);
    expect(notified.map(({ historyId }) => historyId).slice(1)).toEqual(
      truth.history.map(({ id }) => id),
    );
    expect(listed.body).toMatchObject({
      history: truth.history.map(({ id }) => ({ id })),
      historyId: truth.historyId,
    });
  });

  it("makes the same ids and tokens from the same seed, and others from another", () => {
    expect(run(7)).toEqual(run(7));
    expect(run(8).secrets).not.toEqual(run(7).secrets);
    expect(run(8).truth.history.map(({ id }) => id)).not.toEqual(
      run(7).truth.history.map(({ id }) => id),
    );
  });

  it("leaves gaps between ids unless configured otherwise", () => {
    expect(stepOf(run(3)) > 1n).toBe(true);
    expect(stepOf(run(3, { historyIdStepMax: 1 }))).toBe(1n);
  });
});
