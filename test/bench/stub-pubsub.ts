import { v1 } from "@google-cloud/pubsub";
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import { serveGrpc } from "./stub-server.ts";

/** As much of Pub/Sub as the receiver uses: `publish`. */
export interface StubPubsub {
  /** For `PUBSUB_EMULATOR_HOST`. */
  host: string;
  counts: { requests: number; messages: number };
  /** Called for each message as it is published. */
  onPublished: (orderingKey: string, type: string | undefined) => void;
  /** Called for each request. */
  onRequest: (messages: readonly PublishedMessage[]) => void;
  close(): void;
}

export interface PublishedMessage {
  orderingKey: string;
  attributes: Record<string, string>;
}

interface PublishRequest {
  messages: PublishedMessage[];
}

export async function startStubPubsub(): Promise<StubPubsub> {
  const counts = { requests: 0, messages: 0 };
  const stub = {
    counts,
    onPublished: (_key: string, _type: string | undefined) => {},
    onRequest: (_: readonly PublishedMessage[]) => {},
  };
  function publish({ messages }: PublishRequest): { messageIds: string[] } {
    counts.requests += 1;
    stub.onRequest(messages);
    for (const { orderingKey, attributes } of messages) {
      stub.onPublished(orderingKey, attributes["ce-type"]);
    }
    return { messageIds: messages.map(() => String((counts.messages += 1))) };
  }
  const served = await serveGrpc(v1.PublisherClient, "google.pubsub.v1.Publisher", {
    publish(call: ServerUnaryCall<PublishRequest, unknown>, answer: sendUnaryData<unknown>) {
      answer(null, publish(call.request));
    },
  });
  return Object.assign(stub, served);
}
