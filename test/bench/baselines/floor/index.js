// The same remote operations as a notification of ours, in the same order, and nothing else: nothing
// is checked, sealed, settled, retried or logged. What this needs, nobody can save, except the domain
// in which the functions-framework runs it.
import { Firestore } from "@google-cloud/firestore";
import { cloudEvent } from "@google-cloud/functions-framework";
import { PubSub } from "@google-cloud/pubsub";
import { Pool } from "undici";

const projectId = process.env.GOOGLE_CLOUD_PROJECT;
const firestore = new Firestore({ projectId });
const topic = new PubSub({ projectId }).topic(process.env.CHANGES_TOPIC, {
  messageOrdering: true,
  batching: { maxMessages: 1_000, maxMilliseconds: 0 },
});
const google = new Pool(`http://${process.env.GMAIL_EMULATOR_HOST}`);

cloudEvent("gmailNotification", async ({ data }) => {
  const { emailAddress, historyId: notifiedHistoryId } = JSON.parse(
    Buffer.from(data.message.data, "base64").toString(),
  );
  const users = firestore.collection("users").where("emailAddress", "==", emailAddress).limit(20);
  const [user] = (await users.get()).docs;
  const { historyId, sync, plainAccessToken } = user.data();
  if (BigInt(notifiedHistoryId) <= BigInt(historyId)) return;
  let pageToken = "";
  let { updateTime } = user;
  do {
    const { body } = await google.request({
      method: "GET",
      path: `/gmail/v1/users/me/history?startHistoryId=${historyId}&maxResults=500${pageToken}`,
      headers: { authorization: `Bearer ${plainAccessToken}` },
    });
    const answer = await body.json();
    await publish(user.id, emailAddress, answer.history ?? []);
    const changed = { historyId: answer.historyId, sync: { ...sync, syncedAt: new Date() } };
    const { writeTime } = await user.ref.update(changed, { lastUpdateTime: updateTime });
    updateTime = writeTime;
    pageToken = answer.nextPageToken && `&pageToken=${answer.nextPageToken}`;
  } while (pageToken);
});

async function publish(userId, emailAddress, history) {
  const added = history.flatMap(({ id, messagesAdded = [] }) =>
    messagesAdded.map(({ message }) => ({ id, message })),
  );
  await Promise.all(
    added.map(({ id, message }) =>
      topic.publishMessage({
        json: { userId, emailAddress, historyId: id, messageId: message.id },
        attributes: { "ce-id": `${userId}/added/${message.id}` },
        orderingKey: userId,
      }),
    ),
  );
}
