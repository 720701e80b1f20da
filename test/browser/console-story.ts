import type { Playground } from "../local/playground.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";

const ADA = "ada@example.com";

/** Connects Ada's mailbox, as she would in a browser of her own. */
export async function connectAda({ stack }: Playground): Promise<void> {
  const browser = openBrowser();
  const toGoogle = await browser.get(`${stack.publicUrl}/start`);
  await throughGoogle(stack.emulator, browser, toGoogle, { account: ADA });
}

/** What a console shows something of in each pane: mail, changes, access that has ended, and the mail about it. */
export async function playStory(playground: Playground): Promise<void> {
  const { emulator } = playground.stack;
  await connectAda(playground);
  const from = "Bob Example <bob@example.com>";
  for (const subject of ["Lunch?", "Your invoice for November", "Minutes of the meeting"]) {
    emulator.deliver(ADA, { subject, from, text: `Hello Ada,\n\nplease see: ${subject}\n\nBob` });
  }
  const [first, second] = emulator.account(ADA).messages.map(({ id }) => id);
  if (first !== undefined) emulator.star(ADA, first);
  if (second !== undefined) emulator.markRead(ADA, second);
  await emulator.idle();
  emulator.changePassword(ADA);
  emulator.deliver(ADA, { subject: "You changed your password", from: "no-reply@example.com" });
  await emulator.idle();
  // Sends her the mail with the link.
  await playground.stack.runSchedule("mailboxReconciliation");
}
