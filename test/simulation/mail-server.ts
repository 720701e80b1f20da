import {
  type Notice,
  type NoticeOutcome,
  type SendNotice,
} from "../../functions/src/domain/notice.ts";
import { SEND_MS_MAX } from "../../functions/src/notices/series.ts";
import type { Effect, Outcome } from "./effects.ts";
import type { World } from "./world.ts";

/** The server that takes the mails to people, or does not. */
export interface SimulatedMailServer {
  mails: { notice: Notice; at: number }[];
  /** An instance has decided to send a mail. */
  onAsked: (notice: Notice) => void;
  /** The server has the mail, whatever it answers. */
  onTaken: (notice: Notice) => void;
  sendFor(effect: Effect): SendNotice;
}

/** It fails as often as the topic does: both are somebody else's servers. */
export function createSimulatedMailServer(world: World): SimulatedMailServer {
  const random = world.random("mail-faults");
  const { count, scheduler } = world;

  function take(notice: Notice): Outcome<NoticeOutcome> {
    if (world.outages.mailServer || random.chance(world.rates.publishFailsBefore)) {
      count("mail refused by the server");
      const kind = random.chance(0.5) ? "failed" : "misconfigured";
      return { value: { kind, reason: "simulated" } };
    }
    server.mails.push({ notice, at: scheduler.now() });
    server.onTaken(notice);
    if (!random.chance(world.rates.publishFailsAfter)) return { value: { kind: "sent" } };
    count("mail taken, and the answer lost");
    return { value: { kind: "failed", reason: "simulated" } };
  }

  const server: SimulatedMailServer = {
    mails: [],
    onAsked: () => {},
    onTaken: () => {},
    sendFor: (effect) => async (notice) => {
      server.onAsked(notice);
      const limit = { ms: SEND_MS_MAX, error: () => new Error("timeout") };
      try {
        return await effect("mail.send", () => take(notice), limit);
      } catch {
        return { kind: "failed", reason: "ETIMEDOUT" };
      }
    },
  };
  return server;
}
