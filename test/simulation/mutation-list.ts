import type { Edit } from "./anchors.ts";
import type { Focus } from "./focus.ts";

/** A change that breaks a promise, or one of the layers that keep it. */
export interface Mutation {
  name: string;
  /** The workload that shows it soonest, where chance alone takes long. */
  focus?: Focus;
  edits: readonly Edit[];
}

function mutation(
  name: string,
  ...edits: readonly [within: string, node: string, replacement: string][]
): Mutation {
  return {
    name,
    edits: edits.map(([within, node, replacement]) => ({ within, node, replacement })),
  };
}

function focused(
  focus: Focus,
  name: string,
  ...edits: readonly [within: string, node: string, replacement: string][]
): Mutation {
  return { focus, ...mutation(name, ...edits) };
}

/** A refused refresh token counts even if another has replaced it. */
const NO_OLD_TOKEN = [
  "isOfOldToken",
  'kind === "reauthorize" && grant.refreshToken !== failed.grant.refreshToken',
  "false",
] satisfies readonly [string, string, string];

export const MUTATIONS: readonly Mutation[] = [
  // The cursor.
  mutation("the cursor comes from the notification", [
    "finish",
    "...read.progressFrom(user)",
    `recent: [],
      historyId: run.trigger.kind === "notified"
        ? maxHistoryId(user.historyId, run.trigger.historyId)
        : read.progressFrom(user).historyId`,
  ]),
  mutation("the cursor is the head of the answer, at once", [
    "finish",
    "...read.progressFrom(user)",
    "recent: [], historyId: maxHistoryId(user.historyId, listed.head)",
  ]),
  mutation(
    "the cursor comes from the renewal",
    [
      "writeWatch",
      "...(obtained !== undefined && { grant })",
      "...(obtained !== undefined && { grant }), ...(watch.head && { historyId: watch.head })",
    ],
    [
      "renew",
      "afterWatch(answer.value, context)",
      "{ ...afterWatch(answer.value, context), head: answer.value.historyId }",
    ],
  ),
  mutation("a re-authorization starts at the present", [
    "authorized",
    "resumed?.historyId ?? historyId",
    "historyId",
  ]),
  mutation("the checkpoint is written before the changes are published", [
    "listOnce",
    "const failed = await publishPage(run, part);",
    `const early = { startedAt, readAt, records: part.records, upTo: part.rest.upTo };
      await writeProgress(run, [], (user) => ({
        ...planRead(user, early, { kind: "due" }, context.config.sync.settleMs).progressFrom(user),
        sync: {},
      }));
      const failed = await publishPage(run, part);`,
  ]),
  mutation(
    "no compare-and-set: a refused checkpoint is written over what is stored",
    ["writeUntilTaken", "make(user)", "make(read)"],
    [
      "writeUntilTaken",
      'assert(!isAfter(user.historyId, historyId), "the cursor never moves back");',
      "",
    ],
    ["writeUntilTaken", 'if (isSuperseded(read, user)) return "skip";', ""],
    ["writeUntilTaken", 'if (isCovered && sync.dueReason !== "lag") return "skip";', ""],
  ),
  mutation("a refused write counts as written", ["modify", 'written !== "refused"', "true"]),
  mutation("ids are compared as numbers", [
    "compareHistoryIds",
    "if (a.length !== b.length) return a.length - b.length;",
    "return Number(a) - Number(b);",
  ]),

  // Details.
  focused("details", "an event waits for its details", [
    "detailed",
    "context.gmail.getDetail(token.value, event.messageId, leftMs)",
    "context.gmail.getDetail(token.value, event.messageId, 20_000)",
  ]),
  focused("details", "a message whose details fail is left out", [
    "detailed",
    'return { ...event, headersMissing: isLate ? "late" : missingOf(answer.error.failure) };',
    "throw new Error(missingOf(answer.error.failure));",
  ]),

  // Imports.
  focused("imports", "an import replaces the grant of a known person", [
    "establishUnknown",
    `context.users.create(grant.userId, (generation, read) =>
    content(undefined, generation, read),
  )`,
    "context.users.authorize(grant.userId, content)",
  ]),
  focused(
    "imports",
    "a replaced refresh token is kept once Google has said whose it is",
    [
      "adoptGrant",
      "if (token.refreshToken !== refreshToken) await keepRotated(token.refreshToken);",
      "",
    ],
    [
      "adoptGrant",
      "if (!identified.ok) return identified.error;",
      `if (!identified.ok) return identified.error;
      if (token.refreshToken !== refreshToken) await keepRotated(token.refreshToken);`,
    ],
  ),
  focused("imports", "an imported mailbox starts at the present", [
    "prepare",
    "const { historyId = start.value.historyId } = grant;",
    "const { historyId } = start.value;",
  ]),
  focused(
    "imports",
    "an import connects a person again whose grant has ended, or who has left",
    [
      "adoptGrant",
      "if (stored !== undefined) return keepStored(stored, earlier, token.refreshToken, context);",
      "",
    ],
    [
      "establishUnknown",
      `context.users.create(grant.userId, (generation, read) =>
    content(undefined, generation, read),
  )`,
      "context.users.authorize(grant.userId, content)",
    ],
  ),

  // Settling.
  mutation("nothing has to settle", [
    "settle",
    "read.startedAt.getTime() - settleMs",
    "read.readAt.getTime()",
  ]),
  focused("slow", "the clock is read after the listing", [
    "settle",
    "read.startedAt.getTime() - settleMs",
    "read.readAt.getTime() - settleMs",
  ]),
  focused("slow", "a position counts as read when its listing began", [
    "additions",
    "readAt: at",
    "startedAt: at",
  ]),
  mutation("a run that stops counts what it read as settled", [
    "checkpointPage",
    "return { ...progressFrom(user), sync: stopped, isThrough: true };",
    "return { historyId: maxHistoryId(progressFrom(user).historyId, page.upTo), recent: [], sync: atOnce(clock) };",
  ]),
  mutation("a remembered head counts as a record that was read", [
    "isRemembered",
    "isRecord(position)",
    "position.isNotified !== true",
  ]),
  mutation(
    "the oldest unsettled positions count as settled when there are many",
    ["settle", "settledCount - 1", "Math.max(settledCount, positions.length - 3) - 1"],
    [
      "settle",
      "positionsAfter(historyId, positions)",
      "positions.slice(Math.max(settledCount, positions.length - 3))",
    ],
  ),
  focused("late", "the cursor passes a notified id that has not shown", [
    "settle",
    "isNotified === true",
    "false",
  ]),
  mutation("what was read is not remembered", [
    "settle",
    "bounded(positionsAfter(historyId, positions))",
    "[]",
  ]),

  // Listing.
  mutation("only the first page is read", [
    "listOnce",
    "isLast && nextPageToken === undefined",
    "isLast",
  ]),
  mutation("a page without history ends the listing", [
    "listOnce",
    "isLast && nextPageToken === undefined",
    "isLast && (nextPageToken === undefined || records.length === 0)",
  ]),
  mutation("the request filters", [
    "listHistory",
    "startHistoryId: after",
    'startHistoryId: after, historyTypes: ["messageAdded"]',
  ]),
  mutation("each page has a new start in place of the token", [
    "listOnce",
    "context.gmail.listHistory(token, start, pageToken)",
    "context.gmail.listHistory(token, upTo, undefined)",
  ]),
  mutation("a page is published from its end", [
    "planPage",
    "events.push(event);",
    "events.unshift(event);",
  ]),
  mutation("a record that cannot be read is passed over", [
    "toChanges",
    "if (!record.unreadable) return readable;",
    "return readable;",
  ]),

  // Recovery.
  mutation("an expired history is passed over in silence", [
    "tellGap",
    "const failed = await publish(run, [gapOf(recovery)]);",
    "const failed = undefined;",
  ]),
  focused("rewinds", "what was read is kept over a recovery", [
    "afterRecovery",
    "notifiedAfter(sync, historyId, rewoundAt)",
    "sync.recent",
  ]),
  focused("expiredRewinds", "an expiry hides a rewind", [
    "causeOf",
    "!isAfter(highestHead, head)",
    "true",
  ]),
  mutation("a gap begins at the last record read, not where the listing began", [
    "beginRecovery",
    "toHistoryId: to",
    "toHistoryId: to, fromHistoryId: user.sync.recent.at(-1)?.historyId ?? from",
  ]),
  mutation("a recovery ends at the head of its end, not at the pinned one", [
    "endLate",
    "return write(run, afterRecovery(run.user, recovery));",
    `return run.access.call("users.getProfile", (token) => run.context.gmail.getProfile(token)).then((late) => {
    const toHistoryId = late.ok ? late.value.historyId : recovery.toHistoryId;
    return write(run, afterRecovery(run.user, { ...recovery, toHistoryId }));
  });`,
  ]),
  mutation("a recovery walks over one page", [
    "afterWalkedPage",
    "told >= 0 || walked.oldPages >= OLD_PAGES",
    "true",
  ]),
  focused("histories", "one page of old messages ends the walk", ["OLD_PAGES", "2", "1"]),
  focused("recovery", "a recovery has no second pass", [
    "advance",
    "tellLate(run, recovery)",
    "endLate(run, recovery)",
  ]),
  focused("recovery", "a recovery passes over a page that was not noted", [
    "write",
    "run.walkToken = undefined;",
    "{}",
  ]),
  focused("damaged", "a broken list of messages is an empty one", [
    "toMessagePage",
    'if (!isPlainObject(data)) throw malformed("messages.list");',
    "",
  ]),
  focused(
    "races",
    "a recovery of the past is begun again",
    ["listOnce", 'if (isOfToken && pageToken !== undefined) return { kind: "restart" };', ""],
    ["lose", "if (isPast) return undefined;", ""],
  ),

  focused("late", "a run that fails does not wait for what it was notified of", [
    "writeDue",
    "withHeld(user, run.trigger, context)",
    "undefined",
  ]),
  focused("late", "a notification below one that was served tells nothing", [
    "isKnown",
    "isServed && isTracked(progressOf(user), notified)",
    "isServed",
  ]),
  focused("rotation", "a token that another run stored is not used", [
    "repeated",
    "user = stored;",
    "",
  ]),

  // Acknowledging and coming back.
  mutation("a notification is acknowledged although the store failed", [
    "gmailNotification",
    'throw new Redeliver("the store did not answer");',
    "",
  ]),
  focused("prompt", "a throttled mailbox has no due time", [
    "afterFailure",
    'return { dueAt: later(now, waitMs), dueReason: "throttled", ...common };',
    "return undefined;",
  ]),
  focused("prompt", "a failed mailbox has no due time", [
    "afterFailure",
    'return { dueAt, dueReason: "unfinished", ...common };',
    "return undefined;",
  ]),
  mutation("an unfinished mailbox has no due time", [
    "checkpointPage",
    "sync: stopped",
    "sync: {}",
  ]),
  focused("pages", "a run whose page another has covered leaves the next pages alone", [
    "checkpointPage",
    'if (written === "covered") return isLast ? unfinished(run) : undefined;',
    'if (written === "covered") return { kind: "superseded", changes };',
  ]),
  focused("calm", "a run that waited goes on with what it read before", [
    "syncDue",
    "hasWaited ? await users.find(user.id) : user",
    "user",
  ]),

  // Grants.
  mutation("a wrong client secret is the user's fault", [
    "classifyTokenAnswer",
    'case "admin_policy_enforced": return { kind: "reauthorize", reason };',
    'case "invalid_client": case "admin_policy_enforced": return { kind: "reauthorize", reason };',
  ]),
  mutation("a 5xx of the token endpoint is the user's fault", [
    "classifyAnswer",
    'if (status !== undefined && isPassing(status)) return { kind: "transient", reason };',
    `if (call === "token.refresh" && status === 503) return { kind: "reauthorize", reason };
  if (status !== undefined && isPassing(status)) return { kind: "transient", reason };`,
  ]),
  mutation("access tokens refused within seconds flag the user", [
    "endingOf",
    "if (!lasts(HOUR_MS)) return undefined;",
    "",
  ]),
  focused(
    "grants",
    "a user is flagged whatever grant has failed",
    ["sameGrant", "stored.grant.generation === grant.generation", "true"],
    NO_OLD_TOKEN,
  ),
  focused("security", "a security event flags a grant that is newer than it", [
    "suspend",
    "happenedAt <= later(grant.grantedAt, CLOCK_SKEW_MS)",
    "false",
  ]),
  focused(
    "imports",
    "a refused token flags although another run has stored a newer one",
    NO_OLD_TOKEN,
  ),
  focused("rotation", "a rotated refresh token is not kept", [
    "refreshGrant",
    "await storeRotated(user, answer.refreshToken, context);",
    "",
  ]),
  focused(
    "rotation",
    "a rotated refresh token that another run stored is not looked for",
    ["repeated", "stored.grant.refreshToken !== user.grant.refreshToken", "false"],
    NO_OLD_TOKEN,
  ),
  focused("clients", "a grant of another client counts as a grant of this one", [
    "refreshGrant",
    "clientId !== context.config.oauth.clientId",
    "false",
  ]),
  mutation("there is no limit to how many users are flagged", ["FLAGGED_MIN", "20", "2_000"]),
  focused("young", "the guard counts every failed grant, however young", [
    "admits",
    "if (isYoung(user.grant, now)) return true;",
    "",
  ]),
  focused("refusals", "the circuit counts failures in place of users", [
    "refused",
    "state.refused.set(userId, now);",
    "state.refused.set(`${userId} ${state.refused.size}`, now);",
  ]),
  mutation("a flagged user keeps the tokens", ["flagged", "withoutTokens(grant)", "grant"]),
  mutation("a flagged user's watch is renewed", ["flagged", "withoutRenewal(watch)", "watch"]),
  mutation("a flagged user's mailbox stays due", ["flagged", "withoutDue(sync)", "sync"]),
  mutation("nobody comes back to a status that was not announced", [
    "flagged",
    "{ ...followUp, dueAt: later(now, ANNOUNCE_GRACE_MS), failures: 0 }",
    "followUp",
  ]),

  // Pauses.
  focused("pauses", "a person who authorizes again ends a pause", [
    "authorized",
    'resumed?.status === "paused"',
    "false && resumed !== undefined",
  ]),
  focused("pauses", "a resumed mailbox starts at its present", [
    "resume",
    "unpaused(user, clock)",
    `{
          ...unpaused(user, clock),
          ...(user.sync.highestHead && { historyId: user.sync.highestHead }),
        }`,
  ]),
  focused("pauses", "the second pause under one grant is told under the id of the first", [
    "statusEvent",
    '{ kind: "paused", ...told, reason }',
    '{ kind: "paused", generation, reason }',
  ]),
  focused("pauses", "the pausing run publishes, and the reconciliation does not", [
    "followUp",
    "finishPause(user, context)",
    "undefined",
  ]),
  focused("pauses", "the watch of a paused mailbox is not stopped", [
    "finishPause",
    "await stopWatch(user, context)",
    "true",
  ]),
  // Snapshots.
  focused("snapshots", "a snapshot advances before it publishes", [
    "advance",
    "await publish(run, snapshot, events)",
    `(await store(run, snapshot, afterSnapshotPage(snapshot, page), events)) &&
      (await publish(run, runningSnapshot(run.user) ?? snapshot, events))`,
  ]),
  focused("snapshots", "a snapshot tells of messages as added", [
    "toExisting",
    '"existing"',
    '"added"',
  ]),
  focused("snapshots", "a snapshot ends with its first page", [
    "afterSnapshotPage",
    "token === undefined || oldPages >= OLD_PAGES_ENDING",
    "true",
  ]),
  focused("snapshots", "a snapshot ends with the grant", [
    "authorized",
    "resumed.snapshot",
    "undefined",
  ]),
  focused("snapshots", "a page is left out when Gmail rejects its token", [
    "unpublishedOf",
    "messages.slice(last + 1)",
    "[]",
  ]),
  focused("snapshots", "a snapshot takes whatever it needs of the quota", [
    "metered",
    "UNITS[method] ?? 0",
    "0",
  ]),
  focused("denseSnapshots", "a page of which not each message can be dated is published", [
    "advance",
    "left.length > DATED_PAGE_SIZE",
    "false",
  ]),
  focused("refusedSnapshots", "a snapshot is tried for ever", [
    "reasonToGiveUp",
    "later(failure.since, FAILING_MS_MAX) <= failure.at",
    "false",
  ]),
  focused("refusedSnapshots", "a snapshot is given up after its first failure", [
    "reasonToGiveUp",
    "later(failure.since, FAILING_MS_MAX) <= failure.at",
    "true",
  ]),
  focused("snapshots", "drafts belong to a snapshot", [
    "stillThere",
    "messages.length === 0",
    "true",
  ]),
  // Mail to people.
  mutation("a mail is sent without being claimed", [
    "notify",
    'if ((await users.update(user, claim)) === "refused") return;',
    "",
  ]),
  focused("mails", "a publication that fails late brings the next mail forward", [
    "postpone",
    "!sameGrant(told, user) || isAnnounced(user)",
    "!sameGrant(told, user)",
  ]),
  focused("mails", "a mail is sent although its claim was refused", [
    "notify",
    'if ((await users.update(user, claim)) === "refused") return;',
    "await users.update(user, claim);",
  ]),
  focused("grants", "an instance that slept on its claim sends all the same", [
    "notify",
    "if (later(now(), SEND_MS_MAX) >= claimedUntil) return;",
    "",
  ]),
  mutation("a mail that was sent is not noted", ["afterwards", "sentTo(user) + 1", "sentTo(user)"]),
  focused("mails", "a mail that was not taken is never sent again", [
    "afterwards",
    "return { ...user.followUp, dueAt, failures: failures + 1 };",
    "return { ...ended(user, context), failures: failures + 1 };",
  ]),
  mutation("a status that is announced owes no mail", [
    "nextDue",
    "return sendNotice === undefined ? nextLook(user, context) : clock.now();",
    "return undefined;",
  ]),
  focused("mails", "a second announcement brings the next mail forward", [
    "nextDue",
    "if (isAnnounced(user)) return user.followUp.dueAt;",
    "",
  ]),
  focused("security", "a mailbox that comes back does not begin an episode", [
    "reactivated",
    "episode: episode + 1",
    "episode",
  ]),

  // Events.
  focused("gaps", "an unreadable record and an expiry share an id", [
    "eventId",
    "return `${userId}/${event.toHistoryId}/gap`;",
    "return `${userId}/gap/${event.fromHistoryId}`;",
  ]),
  focused("security", "every time that a mailbox is gone is told under one id", [
    "eventId",
    'event.episode === undefined ? "" : `/${event.episode}`',
    '""',
  ]),
  mutation("an added message is named by its record", [
    "eventId",
    "return `${userId}/added/${event.messageId}`;",
    "return `${userId}/${event.historyId}/added/${event.messageId}`;",
  ]),
  mutation("a token is logged", [
    "renew",
    "(token) => watchAgain(token, context)",
    '(token) => (log.info("watching", "with", { token }), watchAgain(token, context))',
  ]),

  // What one mailbox meets, and how long.
  focused("refusals", "it is not known since when a mailbox is behind", [
    "accounted",
    "return { ...rest, behindSince, ...(delayedAt !== undefined && { delayedAt }) };",
    "return rest;",
  ]),
  focused("refusals", "a delay is never told", [
    "tellDelay",
    "if (behindSince === undefined || !isDelayDue(user, config.sync.delayedAfterMs, now)) return undefined;",
    "if (behindSince === undefined || now >= behindSince) return undefined;",
  ]),
  focused("refusals", "a delay is noted before it is published", [
    "tellDelay",
    'const event = delayEvent("delayed", user, behindSince, now);',
    `const event = delayEvent("delayed", user, behindSince, now);
  await users.update(user, { sync: { ...user.sync, delayedAt: now } });`,
  ]),
  focused("refusals", "a delay is told to subscribers only", [
    "tellDelay",
    "log.alert",
    "log.info",
  ]),
  focused("refusals", "the end of a delay is never told", [
    "tellCaughtUp",
    'if (behindSince === undefined || !isDelayTold(user, config.sync.delayedAfterMs, now)) { return { kind: "told" }; }',
    'if (now > new Date(0)) return { kind: "told" };',
  ]),
  focused("refusals", "a refusal of one mailbox never ends", [
    "endingOf",
    'if (!lasts(family === "mailbox" ? DAY_MS : THROTTLED_MS)) return undefined;',
    'if (family === "mailbox" || !lasts(THROTTLED_MS)) return undefined;',
  ]),
  focused("refusals", "every failure begins a row of its own", [
    "noteFailure",
    "isSame ? before.since : now",
    "now",
  ]),
  focused("refusals", "some 401s end a grant", [
    "endingOf",
    "if (!lasts(HOUR_MS)) return undefined;",
    "if (!lasts(0)) return undefined;",
  ]),
  focused("refusals", "the waits after a failure do not grow", [
    "failureWaitMs",
    "backoffMs(count, FAILURE_DUE_MS, max)",
    "FAILURE_DUE_MS",
  ]),
  focused("histories", "one stray 404 is believed", [
    "confirmLoss",
    "await context.clock.sleep(CONFIRM_MS);",
    `await context.clock.sleep(CONFIRM_MS);
  if (expired.reason === "history_expired") return { kind: "confirmed", ...expired };`,
  ]),
  focused("histories", "a head that is not found is looked for without a pause", [
    "pauseMs",
    "PAUSES_MS[Math.min(recoveries, PAUSES_MS.length) - 1] ?? 0",
    "0",
  ]),
  focused("histories", "the walk stops at the first old message", [
    "isOldPage",
    "isAnyOld ||= dated.value !== undefined;",
    "if (dated.value !== undefined) return ok(true);",
  ]),
  focused("life", "a draft that is sent stays untold", [
    "withSentDrafts",
    "if (sent.length === 0) return items;",
    "return items;",
  ]),
  focused("life", "the address of a mailbox is never compared", [
    "findAddress",
    "named === undefined",
    "true",
  ]),
  focused("life", "positions settle by the clock of the instance", [
    "storeNowAtLeast",
    "later(read.at, elapsedMs(read.receivedAt, clock))",
    "clock.now()",
  ]),
  focused("life", "a date of next year is believed", [
    "eachDue",
    "aheadMax(list, context)",
    "1_000 * aheadMax(list, context)",
  ]),
];
