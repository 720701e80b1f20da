import { randomBytes } from "node:crypto";
import { googleEndpoints } from "../../functions/src/google/endpoints.ts";
import { googleClients } from "../../functions/src/google-clients.ts";
import { parseKeyRing } from "../../functions/src/grant/sealing.ts";
import { createLog } from "../../functions/src/log.ts";
import { type Receiver, createReceiver } from "../../functions/src/receiver.ts";
import type { Scenario } from "./scenario.ts";

/** Another instance of the receiver beside the scenario's own, on the same store and topic. */
export interface SecondInstance extends Receiver {
  /** Hands it a notification of the mailbox's present head. */
  notify(email: string): Promise<void>;
  logs: string[];
  logged(event: string): Record<string, unknown>[];
}

/** An instance as it was deployed with another key ring or another client secret. */
export function startSecondInstance(
  { config, users, seenEvents, topic, clock, emulator }: Scenario,
  over: { tokenKeys?: string; clientSecret?: string },
): SecondInstance {
  const { tokenKeys = config.sealing.tokenKeys, clientSecret = config.oauth.clientSecret } = over;
  const own = { ...config, oauth: { ...config.oauth, clientSecret }, sealing: { tokenKeys } };
  const parsed = parseKeyRing(tokenKeys);
  if (parsed.kind !== "key_ring") throw new Error(parsed.problems.join("; "));
  const endpoints = googleEndpoints(config.gmail.emulatorHost);
  const logs: string[] = [];
  const receiver = createReceiver(own, parsed.ring, endpoints, {
    users,
    seenEvents,
    publish: topic.publish,
    ...googleClients(own, endpoints, clock),
    clock,
    random: Math.random,
    randomBytes,
    log: createLog((line) => void logs.push(line)),
  });
  return {
    ...receiver,
    logs,
    logged: (event) =>
      logs
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((record) => record["event"] === event),
    notify(email) {
      const { historyId } = emulator.account(email);
      // By hand: as a number in JSON, JavaScript would round it.
      const json = `{"emailAddress":${JSON.stringify(email)},"historyId":${historyId}}`;
      const publishTime = clock.now().toISOString();
      const data = Buffer.from(json).toString("base64");
      return receiver.gmailNotification({
        data: { message: { data, messageId: "1", publishTime } },
      });
    },
  };
}
