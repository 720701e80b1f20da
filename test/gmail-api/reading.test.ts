import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { METHODS } from "../../functions/src/gmail-api/methods.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { AUTHORIZATION, CALLER, call, clientOf } from "./calls.ts";

/**
 * Goal: a subscriber does with Google's own client, unmodified, what it would do with a grant of its
 * own; and each call is on record.
 */

const ADA = "ada@example.com";
const WIDE = ["gmail.modify", "gmail.settings.basic", "gmail.settings.sharing"].join(" ");

let scenario: Scenario;
let userId: string;
let client: ReturnType<typeof clientOf>;
beforeAll(async () => {
  const groups = "read modify settings compose import token";
  scenario = await startScenario({ env: { GMAIL_SCOPES: WIDE, GMAIL_API_METHODS: groups } });
  await scenario.connect(ADA);
  userId = scenario.stored(ADA).id;
  client = clientOf(scenario);
});
afterAll(() => scenario.close());

const raw = Buffer.from("From: a@example.com\r\nSubject: Offer\r\n\r\nGood day").toString(
  "base64url",
);

describe("an unmodified client", () => {
  it("reads a message, and the call is on record", async () => {
    const { messageId } = scenario.emulator.deliver(ADA, { subject: "Help", text: "It is broken" });
    scenario.logs.length = 0;
    const { data } = await client.messages.get({ userId, id: messageId });
    expect(data).toMatchObject({
      id: messageId,
      snippet: "It is broken",
      labelIds: expect.any(Array),
    });
    expect(scenario.logged("gmail_api_called")).toMatchObject([
      { caller: CALLER, method: "messages.get", userId, messageId, status: 200, severity: "INFO" },
    ]);
    expect(scenario.logs.join("\n")).not.toMatch(/It is broken|Help|ada@example\.com/);
  });

  it("takes an email address for the user", async () => {
    const { data } = await client.getProfile({ userId: "Ada@Example.com" });
    expect(data.emailAddress).toBe(ADA);
  });

  it("lists messages page by page, with repeated parameters", async () => {
    for (let i = 0; i < 3; i++) scenario.emulator.deliver(ADA, { labelIds: ["INBOX", "STARRED"] });
    const labelIds = ["INBOX", "STARRED"];
    const first = await client.messages.list({ userId, labelIds, maxResults: 2 });
    const pageToken = first.data.nextPageToken ?? "";
    const second = await client.messages.list({ userId, labelIds, maxResults: 2, pageToken });
    expect([first.data.messages?.length, second.data.messages?.length]).toEqual([2, 1]);
  });

  it("fetches an attachment", async () => {
    const data = Buffer.from("%PDF-1.7 contract");
    const attachments = [{ filename: "contract.pdf", mimeType: "application/pdf", data }];
    const { messageId } = scenario.emulator.deliver(ADA, { attachments });
    const message = await client.messages.get({ userId, id: messageId });
    const [, part] = message.data.payload?.parts ?? [];
    const id = part?.body?.attachmentId ?? "";
    const found = await client.messages.attachments.get({ userId, messageId, id });
    expect(Buffer.from(found.data.data ?? "", "base64url")).toEqual(data);
  });

  it("resolves a label", async () => {
    const made = await client.labels.create({ userId, requestBody: { name: "Customers" } });
    const found = await client.labels.get({ userId, id: made.data.id ?? "" });
    expect(found.data.name).toBe("Customers");
    const { data } = await client.labels.list({ userId });
    expect(data.labels?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["INBOX", "Customers"]),
    );
  });

  it("takes a response without a body", async () => {
    const made = await client.labels.create({ userId, requestBody: { name: "Temporary" } });
    const { status } = await client.labels.delete({ userId, id: made.data.id ?? "" });
    expect(status).toBe(204);
  });

  it("imports, changes and answers mail", async () => {
    const imported = await client.messages.import({
      userId,
      requestBody: { raw, labelIds: ["INBOX"] },
    });
    const id = imported.data.id ?? "";
    const changed = await client.messages.modify({
      userId,
      id,
      requestBody: { removeLabelIds: ["INBOX"], addLabelIds: ["STARRED"] },
    });
    expect(changed.data.labelIds).toEqual(["STARRED"]);
    const draft = await client.drafts.create({ userId, requestBody: { message: { raw } } });
    const sent = await client.drafts.send({ userId, requestBody: { id: draft.data.id ?? "" } });
    expect(sent.data.labelIds).toEqual(["SENT"]);
  });

  it("sees an error of Gmail as Gmail wrote it", async () => {
    const failed = client.messages.get({ userId, id: "not-an-id" });
    await expect(failed).rejects.toMatchObject({ status: 400, message: "Invalid id value" });
  });

  it("calls every method of the table under Gmail's own path", async () => {
    const { messageId, threadId } = scenario.emulator.deliver(ADA, {});
    for (const method of METHODS) {
      const { name, path, http } = method;
      const id = path.startsWith("threads/") ? threadId : messageId;
      const ids = {
        ...(path.includes("attachments/") && { messageId }),
        ...(path.endsWith("}/attachments/{id}") || /\{id\}/.test(path) ? { id } : {}),
        ...(path.startsWith("settings/sendAs/") && { sendAsEmail: ADA }),
        ...(path.startsWith("settings/forwardingAddresses/") && { forwardingEmail: ADA }),
      };
      const parts = name.split(".");
      const resource = parts
        .slice(0, -1)
        .reduce<unknown>((of, part) => (of as Record<string, unknown>)[part], client) as Record<
        string,
        (parameters: object) => Promise<unknown>
      >;
      const hasBody = http !== "GET" && http !== "DELETE";
      const parameters = { userId, ...ids, ...(hasBody && { requestBody: {} }) };
      scenario.emulator.resetCalls();
      scenario.clock.advance(60_000);
      await resource[parts.at(-1) ?? ""]?.(parameters).catch(() => {});
      const calls = scenario.emulator.calls.map((made) => made.method.replace(/^users\./, ""));
      expect(calls.filter((made) => !OF_THE_SYNC.has(made))).toEqual([name]);
    }
    const statuses = new Map(
      scenario.logged("gmail_api_called").map(({ method, status }) => [method, status]),
    );
    const lists = METHODS.filter(({ group, path }) => group === "read" && !path.includes("{"));
    for (const { name } of lists) expect([name, statuses.get(name)]).toEqual([name, 200]);
  });
});

/** The mailbox is synced meanwhile, since the calls change it. */
const OF_THE_SYNC = new Set(["token.refresh", "history.list"]);

describe("the receiver's own paths", () => {
  it("return what is stored about a user, without a call to Google", async () => {
    scenario.emulator.resetCalls();
    const { status, body } = await call(scenario, `/users/${userId}`);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      userId,
      emailAddress: ADA,
      status: "active",
      scopes: expect.arrayContaining(["https://www.googleapis.com/auth/gmail.modify"]),
      historyId: scenario.stored(ADA).historyId,
      lagSeconds: expect.any(Number),
    });
    expect(scenario.emulator.calls).toEqual([]);
  });

  it("hand out an access token that Gmail takes", async () => {
    const { body, status } = await call(scenario, `/users/${userId}/access-token`, {
      method: "POST",
    });
    const { accessToken, expiresAt, scopes } = JSON.parse(body);
    expect(status).toBe(200);
    expect(Date.parse(expiresAt)).toBeGreaterThan(scenario.clock.now().getTime() + 60_000);
    expect(scopes).toContain("https://www.googleapis.com/auth/gmail.modify");
    const profile = await fetch(`${scenario.emulator.url}/gmail/v1/users/me/profile`, {
      headers: { authorization: `Bearer ${accessToken}` },
    });
    expect(profile.status).toBe(200);
    expect(scenario.logs.join("\n")).not.toContain(accessToken);
  });
});

/** Python's standard library: what `google-api-python-client` sends, `alt=json` included. */
const PYTHON = `
import json, sys, urllib.request
root, user, token, message = sys.argv[1:]
request = urllib.request.Request(
    f"{root}/gmail/v1/users/{user}/messages/{message}?format=full&alt=json",
    headers={"authorization": "Bearer " + token, "accept": "application/json",
             "accept-encoding": "gzip, deflate", "user-agent": "(gzip)"})
with urllib.request.urlopen(request) as response:
    print(json.load(response)["snippet"])
`;

describe("a Python program", () => {
  it("reads a message", async () => {
    const { messageId } = scenario.emulator.deliver(ADA, { text: "Read in Python" });
    const [, token = ""] = AUTHORIZATION.authorization.split(" ");
    const args = ["-c", PYTHON, scenario.urls.gmailApi, userId, token, messageId];
    const { stdout } = await promisify(execFile)("python3", args);
    expect(stdout.trim()).toBe("Read in Python");
  });
});
