// Bundled as the functions are, and run: every client that they use is opened, called and closed. Prints what
// each call sends, and what comes of a fixed answer.
import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { v1 as firestore } from "@google-cloud/firestore";
import { KeyManagementServiceClient } from "@google-cloud/kms";
import { PubSub } from "@google-cloud/pubsub";
import { credentials } from "@grpc/grpc-js";

/** `google.firestore.v1.CommitResponse` and so on: the field 1 or 2, and what is in it. */
const ANSWERS: Readonly<Record<string, string>> = {
  Commit: "12020805",
  BatchGetDocuments: "12016122020805",
  Publish: "0a0131",
  Decrypt: "0a0178",
};
const DATABASE = "projects/demo/databases/(default)";

const server = createServer();
server.on("stream", async (stream, headers) => {
  const method = headers[":path"] ?? "";
  console.log(method, (await buffer(stream)).toString("hex"));
  const answer = Buffer.from(ANSWERS[method.split("/").at(-1) ?? ""] ?? "", "hex");
  stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, answer.length]), answer]));
});

async function openCallAndClose(): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const options = {
    projectId: "demo-clients",
    apiEndpoint: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    sslCreds: credentials.createInsecure(),
  };
  const users = new firestore.FirestoreClient(options);
  const fields = { a: { mapValue: { fields: { at: { timestampValue: { seconds: 5 } } } } } };
  const write = {
    update: { name: "users/1", fields },
    updateMask: { fieldPaths: ["a.at"] },
    currentDocument: { updateTime: { seconds: 7, nanos: 9 } },
  };
  print(await users.commit({ database: DATABASE, writes: [write] }));
  for await (const read of users.batchGetDocuments({ database: DATABASE, documents: ["a"] })) {
    print(read);
  }
  process.env["PUBSUB_EMULATOR_HOST"] = `127.0.0.1:${options.port}`;
  const pubsub = new PubSub({ projectId: options.projectId });
  const topic = pubsub.topic("t", { messageOrdering: true });
  const message = { data: Buffer.from("x"), attributes: { k: "v" }, orderingKey: "1" };
  print(await topic.publishMessage(message));
  const keys = new KeyManagementServiceClient(options);
  print(await keys.decrypt({ name: "k", ciphertext: Buffer.from("y") }));
  for (const client of [users, pubsub, keys]) {
    await client.close();
    console.log("closed");
  }
  process.exit();
}

const print = (answer: unknown) => console.log(JSON.stringify(answer));

void openCallAndClose();
