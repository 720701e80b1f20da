// The way it is usually written: everything imported, every client made at import, nothing bundled.
import { Firestore } from "@google-cloud/firestore";
import { cloudEvent } from "@google-cloud/functions-framework";
import { PubSub } from "@google-cloud/pubsub";
import { google } from "googleapis";

const firestore = new Firestore({ projectId: process.env.GOOGLE_CLOUD_PROJECT });
const topic = new PubSub({ projectId: process.env.GOOGLE_CLOUD_PROJECT }).topic(
  process.env.CHANGES_TOPIC,
  { messageOrdering: true },
);
const auth = new google.auth.OAuth2();
const rootUrl = `http://${process.env.GMAIL_EMULATOR_HOST}/`;
const gmail = google.gmail({ version: "v1", auth, rootUrl });

cloudEvent("gmailNotification", async ({ data }) => {
  const { emailAddress } = JSON.parse(Buffer.from(data.message.data, "base64").toString());
  const users = firestore.collection("users").where("emailAddress", "==", emailAddress).limit(1);
  const [user] = (await users.get()).docs;
  auth.setCredentials({ access_token: user.get("plainAccessToken"), expiry_date: Date.now() * 2 });
  const startHistoryId = user.get("historyId");
  const { data: answer } = await gmail.users.history.list({ userId: "me", startHistoryId });
  const { history = [], historyId } = answer;
  const added = history.flatMap(({ messagesAdded = [] }) => messagesAdded);
  await Promise.all(
    added.map(({ message }) => topic.publishMessage({ json: message, orderingKey: user.id })),
  );
  await user.ref.update({ historyId }, { lastUpdateTime: user.updateTime });
});
