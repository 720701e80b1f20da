import type { Firestore } from "@google-cloud/firestore";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../../functions/src/platform/log.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import { type LocalStack, startLocalStack } from "../local/stack.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import { begin, leadsTo } from "../support/flow.ts";
import { memoryTopic } from "../support/memory-topic.ts";
import { movableClock } from "../support/scenario.ts";

/** Goal: a grant whose document the receiver cannot read is neither ended nor replaced. */

const ADA = "ada@example.com";
const BOB = "bob@example.com";

const firestore = firestoreForTests();

describe.skipIf(!firestore.isHad)("a person whose document cannot be read", () => {
  let database: Firestore;
  let stack: LocalStack;
  beforeEach(async () => {
    database = openDatabase(firestore);
    const clock = movableClock();
    const users = firestoreUsers(
      database,
      createLog(() => {}),
      clock,
    );
    stack = await startLocalStack({ users, publish: memoryTopic(clock.now).publish, clock });
    for (const email of [ADA, BOB]) stack.emulator.createAccount({ email });
  });
  afterEach(async () => {
    await stack.close();
    await database.terminate();
  });

  const documentOf = (email: string) => database.doc(`users/${stack.emulator.account(email).sub}`);
  const isAlive = (email: string) => stack.emulator.account(email).refreshTokens.length > 0;

  async function answerTo(email: string): Promise<string> {
    const { browser, back } = await begin(stack, email);
    return leadsTo(await browser.ask(back.href), stack);
  }

  it("keeps the grant in the document, although everything else is refused", async () => {
    expect(await answerTo(ADA)).toBe("/");
    await documentOf(ADA).update({ historyId: "head" });
    for (const email of [ADA, BOB]) {
      stack.emulator.setMailService(email, "off");
      expect(await answerTo(email)).toBe("/refused/mailbox_unavailable");
    }
    expect(isAlive(ADA)).toBe(true);
    // For a person without a document there is nothing to end but what was just refused.
    expect(isAlive(BOB)).toBe(false);
  });

  it("is asked to try again, and continues from the kept cursor once the document is fixed", async () => {
    expect(await answerTo(ADA)).toBe("/");
    const cursor: unknown = (await documentOf(ADA).get()).get("historyId");
    await documentOf(ADA).update({ historyId: "head" });
    const damaged = (await documentOf(ADA).get()).data();
    expect(await answerTo(ADA)).toBe("/refused/try_later");
    expect((await documentOf(ADA).get()).data()).toEqual(damaged);
    expect(isAlive(ADA)).toBe(true);

    await documentOf(ADA).update({ historyId: cursor });
    expect(await answerTo(ADA)).toBe("/");
    const { grant, historyId } = (await documentOf(ADA).get()).data() ?? {};
    expect({ generation: grant.generation, historyId }).toEqual({
      generation: 2,
      historyId: cursor,
    });
  });
});
