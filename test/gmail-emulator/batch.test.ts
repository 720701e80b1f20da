import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";

/** Google's client for Node has no batches, so that these are written as the guide writes them. */
describe("the batch endpoint", () => {
  let emulator: GmailEmulator;
  let authorization: string;

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    emulator.createAccount({ email: ADA });
    const scope = `openid email ${GMAIL_SCOPES.modify}`;
    authorization = `Bearer ${(await connect(emulator, ADA, { scope })).accessToken}`;
  });
  afterEach(() => emulator.close());

  async function batch(...calls: string[]): Promise<{ status: number; text: string }> {
    const parts = calls.map(
      (call, index) =>
        `--b\r\nContent-Type: application/http\r\nContent-ID: <call-${index}>\r\n\r\n${call}\r\n`,
    );
    const response = await fetch(`${emulator.url}/batch/gmail/v1`, {
      method: "POST",
      headers: { authorization, "content-type": "multipart/mixed; boundary=b" },
      body: `${parts.join("")}--b--`,
    });
    return { status: response.status, text: await response.text() };
  }

  it("answers each call in its place, whatever becomes of the others", async () => {
    const { messageId } = emulator.deliver(ADA);
    const body = JSON.stringify({ addLabelIds: ["STARRED"] });
    emulator.resetCalls();
    const { status, text } = await batch(
      "GET /gmail/v1/users/me/profile",
      "GET /gmail/v1/users/me/messages/0000000000000000?format=minimal HTTP/1.1\r\n",
      `POST /gmail/v1/users/me/messages/${messageId}/modify HTTP/1.1\r\nContent-Type: application/json\r\n\r\n${body}`,
      "nonsense",
    );
    expect(status).toBe(200);
    const answers = text.split(/--batch_\w+(?:--)?\r\n/).filter((part) => part !== "");
    expect(answers.map((part) => /HTTP\/1.1 (\d+)/.exec(part)?.[1])).toEqual([
      "200",
      "404",
      "200",
      "400",
    ]);
    expect(answers[0]).toContain("Content-ID: <response-call-0>");
    expect(answers[0]).toContain(`"emailAddress":"${ADA}"`);
    expect(emulator.account(ADA).messages[0]?.labelIds).toContain("STARRED");
    expect(emulator.calls.map(({ method }) => method)).toEqual([
      "users.getProfile",
      "messages.get",
      "messages.modify",
    ]);
  });

  it("takes another token in a call's own header", async () => {
    const { text } = await batch(
      "GET /gmail/v1/users/me/profile HTTP/1.1\r\nAuthorization: Bearer other\r\n",
    );
    expect(text).toContain("HTTP/1.1 401");
  });

  it("refuses more than a hundred calls, and none", async () => {
    const call = "GET /gmail/v1/users/me/profile";
    expect((await batch(...Array.from({ length: 100 }, () => call))).status).toBe(200);
    expect((await batch(...Array.from({ length: 101 }, () => call))).status).toBe(400);
    expect((await batch()).status).toBe(400);
  });
});
