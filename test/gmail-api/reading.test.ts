import { gmail } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { idTokenOf } from "./caller.ts";

const ADA = "ada@example.com";
const CALLER = "help-desk@acme-mail.iam.gserviceaccount.com";
let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario({ env: { GMAIL_SCOPES: "gmail.readonly" } });
  await scenario.connect(ADA);
});
afterEach(() => scenario.close());

const client = () =>
  gmail({
    version: "v1",
    rootUrl: `${scenario.urls.gmailApi}/`,
    headers: { authorization: `Bearer ${idTokenOf(CALLER)}` },
    retry: false,
  }).users;

describe("an unmodified client", () => {
  it("reads a message, and the call is on record", async () => {
    const { messageId } = scenario.emulator.deliver(ADA, { subject: "Help", text: "It is broken" });
    const { id: userId } = scenario.stored(ADA);
    const { data } = await client().messages.get({ userId, id: messageId });
    expect(data.snippet).toBe("It is broken");
    expect(scenario.logged("gmail_api_called")).toMatchObject([
      { caller: CALLER, method: "messages.get", userId, messageId, status: 200 },
    ]);
  });
});
