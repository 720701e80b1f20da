import type { Begun, Told } from "./snapshot-services.ts";
import { userId } from "./stage.ts";
import { startStubGoogle } from "./stub-google.ts";
import { startStubPubsub } from "./stub-pubsub.ts";

const UNITS: Readonly<Record<string, number>> = { "messages.list": 5, "messages.get": 20 };

const [pubsub, google] = await Promise.all([startStubPubsub(), startStubGoogle()]);
let mailbox = 0;
let told = { existing: 0, isComplete: false };

pubsub.onPublished = (orderingKey, type) => {
  if (orderingKey !== `${userId(mailbox)}/snapshot`) return;
  if (type === "mailbox.message.existing") told.existing += 1;
  if (type === "mailbox.snapshot.completed") told.isComplete = true;
};

process.on("message", (asked: Begun | "told") => {
  if (asked !== "told") {
    mailbox = asked.mailbox;
    told = { existing: 0, isComplete: false };
    google.setMessages(mailbox, asked.messages);
    google.calls.clear();
  }
  const spent = Object.entries(UNITS).map(
    ([method, units]) => units * (google.calls.get(method) ?? 0),
  );
  const units = spent.reduce((sum, each) => sum + each, 0);
  process.send?.({ ...told, units } satisfies Told);
});
process.send?.({ pubsub: pubsub.host, google: google.host });
