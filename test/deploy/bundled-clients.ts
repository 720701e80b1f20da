// Bundled as the functions are, and run: every client that they use, opened and closed.
import { v1 as firestore } from "@google-cloud/firestore";
import { KeyManagementServiceClient } from "@google-cloud/kms";
import { v1 as pubsub } from "@google-cloud/pubsub";
import { credentials } from "@grpc/grpc-js";

const options = {
  projectId: "demo-clients",
  apiEndpoint: "127.0.0.1",
  port: 1,
  sslCreds: credentials.createInsecure(),
};
const clients = [
  new firestore.FirestoreClient(options),
  new pubsub.PublisherClient(options),
  new KeyManagementServiceClient(options),
];

async function openAndClose(): Promise<void> {
  for (const client of clients) {
    await client.initialize();
    await client.close();
    console.log("closed");
  }
}

void openAndClose();
