import { createContext } from "../../functions/src/context.ts";
import { randomBytes } from "node:crypto";
import { googleEndpoints } from "../../functions/src/google/endpoints.ts";
import { googleClients } from "../../functions/src/google-clients.ts";
import { later } from "../../functions/src/domain/clock.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { smtpNotices } from "../../functions/src/notices/smtp.ts";
import { type Receiver, createReceiver } from "../../functions/src/receiver.ts";
import type { ExportedTelemetry } from "../../functions/src/platform/telemetry/telemetry.ts";
import { notificationData } from "../gmail-emulator/notifications.ts";
import type { Scenario } from "./scenario.ts";
import { askedBy } from "./read-times.ts";
import { ringOf } from "./test-keys.ts";

/** A second instance of the receiver on the scenario's store and topic. */
export interface SecondInstance extends Receiver {
  /** Hands it a notification of the mailbox's present head. */
  notify(email: string): Promise<void>;
  logs: string[];
  logged(event: string): Record<string, unknown>[];
}

/** An instance as it was deployed with another key ring or client secret, or with a wrong clock. */
export function startSecondInstance(
  { config, users, seenEvents, callbackClaims, topic, clock: right, emulator }: Scenario,
  over: {
    tokenKeys?: string;
    clientSecret?: string;
    clockOffsetMs?: number;
    telemetry?: ExportedTelemetry;
  },
): SecondInstance {
  const { clockOffsetMs = 0, telemetry } = over;
  const clock = { ...right, now: () => later(right.now(), clockOffsetMs) };
  const { tokenKeys = config.sealing.tokenKeys, clientSecret = config.oauth.clientSecret } = over;
  const own = { ...config, oauth: { ...config.oauth, clientSecret }, sealing: { tokenKeys } };
  const endpoints = googleEndpoints(config.gmail.emulatorHost);
  const logs: string[] = [];
  const receiver = createReceiver(
    createContext(own, ringOf(tokenKeys), endpoints, {
      users: askedBy(users, clock),
      seenEvents,
      callbackClaims,
      publish: topic.publish,
      ...googleClients(own, endpoints, clock),
      clock,
      ...(own.notices && { sendNotice: smtpNotices(own.notices, own.app, clock) }),
      random: Math.random,
      randomBytes,
      log: createLog((line) => void logs.push(line)),
      ...(telemetry !== undefined && { telemetry }),
    }),
  );
  return {
    ...receiver,
    logs,
    logged: (event) =>
      logs
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((record) => record["event"] === event),
    notify(email) {
      const { historyId } = emulator.account(email);
      const publishTime = right.now().toISOString();
      const data = notificationData({ emailAddress: email, historyId }, "number");
      return receiver.gmailNotification({
        data: { message: { data, messageId: "1", publishTime } },
      });
    },
  };
}
