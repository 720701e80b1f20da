import type { Notice } from "../../functions/src/domain/notice.ts";
import { isAnnounced } from "../../functions/src/grant/announcement.ts";
import type { User } from "../../functions/src/domain/user.ts";
import type { SimulatedMailServer } from "./mail-server.ts";
import type { Commit } from "./store.ts";
import type { World } from "./world.ts";

/** Looks at the mails to people: one for each step of a lapse, and none to whom it does not concern. */
export interface NoticeChecks {
  onCommit(commit: Commit): void;
  onAsked(notice: Notice): void;
  onTaken(notice: Notice): void;
  checkFinally(stored: readonly User[]): void;
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
/** Beyond what the clocks of instances differ by. */
const SKEW_MARGIN_MS = 30 * SECOND;
const STALE_MS = 90 * SECOND;
/** A mail is noted so long after the time from which the next one counts. */
const EARLY_MS = HOUR;
const AFTER_MS = [0, 72 * HOUR, 96 * HOUR];
/** The longest wait after a failure, and what it takes to be noticed. */
const LATE_MS = 3 * HOUR;

/** What is known of one mail: of a user, a generation and a number. */
interface Step {
  /** By the claimer's clock, before its write: that may have been long on its way. */
  claimedUntil: number | undefined;
  claims: number;
  asked: number;
  taken: number;
  notedAt: number | undefined;
}

export function createNoticeChecks(world: World, server: SimulatedMailServer): NoticeChecks {
  const { scheduler, count, violate } = world;
  const skewMs = SKEW_MARGIN_MS + 2 * world.parameters.skewMsMax;
  const steps = new Map<string, Step>();
  /** When the lapse of a user's generation ended. */
  const ended = new Map<string, number>();

  function stepOf(id: string, generation: number, number: number): Step {
    const key = `${id}/${generation}/${number}`;
    const present = steps.get(key);
    if (present !== undefined) return present;
    const step = { claimedUntil: undefined, claims: 0, asked: 0, taken: 0, notedAt: undefined };
    steps.set(key, step);
    return step;
  }

  return {
    onCommit({ at, before, after }) {
      if (before?.status !== "reauthorization_required") return;
      const { id, grant } = before;
      if (after.status !== before.status || after.grant.generation !== grant.generation) {
        ended.set(`${id}/${grant.generation}`, at);
        return;
      }
      const step = stepOf(id, grant.generation, sentTo(before));
      if (sentTo(after) > sentTo(before)) {
        step.notedAt = at;
        if (step.taken === 0) violate("P7", `a mail to ${id} is noted that was never sent`);
        return;
      }
      if (!isAnnounced(before) || after.followUp.dueAt === undefined) return;
      if (after.followUp.failures > before.followUp.failures) {
        step.claimedUntil = undefined;
        return;
      }
      if (after.followUp.dueAt.getTime() === before.followUp.dueAt?.getTime()) return;
      const isHeld = step.claimedUntil !== undefined && at < step.claimedUntil - skewMs;
      if (isHeld) violate("P7", `a mail to ${id} is claimed while another instance has it`);
      step.claimedUntil = after.followUp.dueAt.getTime();
      step.claims += 1;
    },

    onAsked({ userId, generation, number }) {
      const now = scheduler.now();
      const step = stepOf(userId, generation, number);
      step.asked += 1;
      if (step.asked > step.claims) violate("P7", `a mail to ${userId} is sent unclaimed`);
      const endedAt = ended.get(`${userId}/${generation}`) ?? Infinity;
      if (now > endedAt + STALE_MS) violate("P7", `a mail to ${userId}, who needs none any more`);
      const before = number === 0 ? undefined : stepOf(userId, generation, number - 1).notedAt;
      const earliest = (before ?? -Infinity) + (AFTER_MS[number] ?? 0) - EARLY_MS;
      if (now < earliest) violate("P7", `mail ${number} to ${userId} comes too early`);
      const notedAt = step.notedAt ?? Infinity;
      if (now > notedAt + STALE_MS) violate("P7", `a mail to ${userId} that is noted as sent`);
    },

    onTaken({ userId, generation, number }) {
      const step = stepOf(userId, generation, number);
      step.taken += 1;
      count("mail sent to a flagged user");
      if (step.taken === 1) return;
      count("mail sent again");
      if (!isLossy(world)) violate("P7", `${step.taken} mails ${number} to ${userId}`);
    },

    checkFinally(stored) {
      for (const { id, status, statusAt, grant } of stored) {
        if (status !== "reauthorization_required" || world.parameters.family === "notified") {
          continue;
        }
        const mails = server.mails.filter(
          ({ notice }) => notice.userId === id && notice.generation === grant.generation,
        );
        const last = mails.at(-1);
        const wait = last === undefined ? 0 : AFTER_MS[last.notice.number + 1];
        if (wait === undefined) continue;
        const since = last?.at ?? statusAt.getTime();
        if (scheduler.now() <= since + wait + LATE_MS) continue;
        violate("P7", `${id} is owed mail ${mails.length} since ${new Date(since + wait)}`);
      }
    },
  };
}

function sentTo({ grant, followUp: { notices } }: User): number {
  return notices?.generation === grant.generation ? notices.sent : 0;
}

/** Whether anything may come between a mail and the note that it was sent. */
function isLossy({ parameters: { rates, incidents }, plan }: World): boolean {
  const { crash, freeze, slow, storeFailsBefore, storeFailsAfter, publishFailsAfter } = rates;
  const chance = crash + freeze + slow + storeFailsBefore + storeFailsAfter + publishFailsAfter;
  return chance + incidents.storeDown > 0 || plan?.hasStruck() === true;
}
