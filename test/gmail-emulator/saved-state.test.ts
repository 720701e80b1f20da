import { describe, expect, it } from "vitest";
import { DEFAULT_CLIENT } from "./emulator.ts";
import { createGmailModel } from "./model.ts";

const ADA = "ada@example.com";

function modelWith(random: () => number) {
  return createGmailModel({ clients: [DEFAULT_CLIENT], random });
}

describe("a saved state", () => {
  it("continues in another model: accounts, mail, labels, history, settings and clients", () => {
    const before = modelWith(() => 0.25);
    before.createAccount({ email: ADA });
    const { messageId } = before.deliver(ADA, { subject: "Hello" });
    before.createLabel(ADA, "Label_1");
    before.addLabels(ADA, messageId, ["Label_1"]);
    before.settings.historyPageMax = 7;
    before.setClientSecret(DEFAULT_CLIENT.clientId, "GOCSPX-another");

    const after = modelWith(() => 0.75);
    after.createAccount({ email: "gone@example.com" });
    after.load(before.save());
    expect(after.accounts()).toEqual(before.accounts());
    expect(after.settings).toEqual(before.settings);
    expect(after.secretsIssued()).toEqual(before.secretsIssued());
    expect(after.findAccount("gone@example.com")).toBeUndefined();

    // An address and a `sub` are still the same account, and ids go on.
    after.renameAddress(ADA, "ada.l@example.com");
    const next = after.deliver("ada.l@example.com");
    const { sub, messages } = after.account("ada.l@example.com");
    expect(after.account(sub).messages).toHaveLength(messages.length);
    expect(messages.map(({ id }) => id)).toEqual(
      expect.arrayContaining([messageId, next.messageId]),
    );
    expect(before.account(ADA).messages).toHaveLength(1);
  });

  it.each([Buffer.alloc(0), Buffer.from("{}"), Buffer.from("something else")])(
    "is refused when it is something else",
    (bytes) => {
      const model = modelWith(() => 0.25);
      model.createAccount({ email: ADA });
      expect(() => model.load(bytes)).toThrow("no saved state of the Gmail emulator");
      expect(model.accounts()).toHaveLength(1);
    },
  );
});
