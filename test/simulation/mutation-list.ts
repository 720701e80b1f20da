import type { Focus } from "./focus.ts";

/** A change that breaks a promise, or one of the layers that keep it. */
export interface Mutation {
  name: string;
  /** The workload that shows it soonest, where chance alone takes long. */
  focus?: Focus;
  edits: readonly Edit[];
}

export interface Edit {
  /** Below `functions/src`. */
  file: string;
  /** Occurs exactly once. */
  find: string;
  replace: string;
}

function mutation(
  name: string,
  ...edits: readonly [file: string, find: string, replace: string][]
): Mutation {
  return { name, edits: edits.map(([file, find, replace]) => ({ file, find, replace })) };
}

const SYNC = "mailbox/sync.ts";
const RUN = "mailbox/sync-run.ts";
const SETTLING = "mailbox/settling.ts";
const RECOVERY = "mailbox/recovery.ts";
const FINAL_CHECKPOINT = `      ...settle(progressOf(user), read, services.limits.settleMs),
      sync: served,`;

export const MUTATIONS: readonly Mutation[] = [
  // The cursor.
  mutation("the cursor comes from the notification", [
    SYNC,
    FINAL_CHECKPOINT,
    `      recent: [],
      historyId: trigger.kind === "notified"
        ? maxHistoryId(user.historyId, trigger.historyId)
        : settle(progressOf(user), read, services.limits.settleMs).historyId,
      sync: served,`,
  ]),
  mutation("the cursor is the head of the answer, at once", [
    SYNC,
    FINAL_CHECKPOINT,
    `      recent: [],
      historyId: maxHistoryId(user.historyId, head),
      sync: served,`,
  ]),
  mutation(
    "the cursor comes from the renewal",
    [
      "mailbox/renewal.ts",
      "    const patch = {\n      watch,",
      "    const { head, ...kept } = watch;\n    const patch = {\n      watch: kept, ...(head && { historyId: head }),",
    ],
    [
      "mailbox/renewal.ts",
      "  const watch = afterWatch(answer.value, services);",
      "  const watch = { ...afterWatch(answer.value, services), head: answer.value.historyId };",
    ],
  ),
  mutation("a re-authorization starts at the present", [
    "grant/authorization.ts",
    "historyId: isResumed(previous) ? previous.historyId : start.value,",
    "historyId: start.value,",
  ]),
  mutation("the checkpoint is written before the changes are published", [
    SYNC,
    "      const failed = await publishEvents(run, part.events);",
    `      await writeProgress(run, [], (user) => ({
        ...settle(progressOf(user), { startedAt, readAt, records: part.records, upTo: part.upTo }, services.limits.settleMs),
        sync: {},
      }));
      const failed = await publishEvents(run, part.events);`,
  ]),
  mutation(
    "no compare-and-set: a refused checkpoint is written over what is stored",
    [
      RUN,
      `    const { user } = run;
    const { historyId, recent, isNotifiedAhead, sync, isThrough, ...more } = make(user);`,
      `    run.first ??= run.user;
    const user = run.user;
    const { historyId, recent, isNotifiedAhead, sync, isThrough, ...more } = make(tries === 0 ? user : run.first);
    if (tries === 0) run.first = user;`,
    ],
    [
      RUN,
      `    assert(!isAfter(user.historyId, historyId), "the cursor never moves back");
`,
      "",
    ],
    [
      RUN,
      `    if (isAfter(startedFrom, progress.historyId)) return "superseded";
`,
      "",
    ],
    [
      RUN,
      `    if (isCovered && sync.dueReason !== "lag") return "covered";
`,
      "",
    ],
  ),
  mutation("ids are compared as numbers", [
    "mailbox/history-id.ts",
    "  if (a.length !== b.length) return a.length - b.length;",
    "  return Number(a) - Number(b);",
  ]),

  // Settling.
  mutation("nothing has to settle", [
    SETTLING,
    "  const settledBefore = read.startedAt.getTime() - settleMs;",
    "  const settledBefore = read.readAt.getTime();",
  ]),
  {
    focus: "slow",
    ...mutation("the clock is read after the listing", [
      SETTLING,
      "  const settledBefore = read.startedAt.getTime() - settleMs;",
      "  const settledBefore = read.readAt.getTime() - settleMs;",
    ]),
  },
  {
    focus: "slow",
    ...mutation("a position counts as read when its listing began", [
      SETTLING,
      "  const { records, head, notified = [], startedAt, readAt: at } = read;",
      "  const { records, head, notified = [], startedAt, startedAt: at } = read;",
    ]),
  },
  mutation("a run that stops counts what it read as settled", [
    SYNC,
    "    return { ...progress, sync: stopped, isThrough: true };",
    "    return { historyId: maxHistoryId(progress.historyId, read.upTo), recent: [], sync: atOnce(clock) };",
  ]),
  mutation("a remembered head counts as a record that was read", [
    SETTLING,
    "  return isHead !== true && isNotified !== true;",
    "  return isNotified !== true;",
  ]),
  mutation("the oldest unsettled positions count as settled when there are many", [
    SETTLING,
    "    settledCount = index + 1;",
    "    settledCount = index + 1;\n  }\n  settledCount = Math.max(settledCount, positions.length - 3);\n  {",
  ]),
  mutation("the cursor passes a notified id that has not shown", [
    SETTLING,
    "    if (isNotified === true || old === undefined",
    "    if (old === undefined",
  ]),
  mutation("what was read is not remembered", [
    SETTLING,
    "    recent: bounded(positions.slice(settledCount)),",
    "    recent: [],",
  ]),

  // Listing.
  mutation("only the first page is read", [
    SYNC,
    "      if (part.isLast && nextPageToken === undefined) {",
    "      if (part.isLast) {",
  ]),
  mutation("a page without history ends the listing", [
    SYNC,
    "      if (part.isLast && nextPageToken === undefined) {",
    "      if (part.isLast && (nextPageToken === undefined || records.length === 0)) {",
  ]),
  mutation("the request filters", [
    "google/gmail.ts",
    "            startHistoryId: after,",
    '            startHistoryId: after, historyTypes: ["messageAdded"],',
  ]),
  mutation("each page has a new start in place of the token", [
    SYNC,
    "services.listHistory(token, start, pageToken)",
    "services.listHistory(token, upTo, undefined)",
  ]),
  mutation("a page is published from its end", [
    SYNC,
    "          events.push(event);",
    "          events.unshift(event);",
  ]),
  mutation("a record that cannot be read is passed over", [
    "mailbox/history.ts",
    "  if (!record.unreadable) return readable;",
    "  if (record.unreadable || readable.length >= 0) return readable;",
  ]),

  // Recovery.
  mutation("an expired history is passed over in silence", [
    RECOVERY,
    "    const failed = await publish(run, [gap]);",
    "    const failed = undefined;",
  ]),
  mutation("what was read is kept over a recovery", [
    RECOVERY,
    "const recent = notifiedAfter(sync, historyId, rewoundAt);",
    "const { recent } = sync;\n  void notifiedAfter;\n  void rewoundAt;",
  ]),
  mutation("a gap begins at the last record read, not where the listing began", [
    RECOVERY,
    "    fromHistoryId: from,\n    toHistoryId: to,",
    "    fromHistoryId: user.sync.recent.at(-1)?.historyId ?? from,\n    toHistoryId: to,",
  ]),
  mutation("a recovery ends at the head of its end, not at the pinned one", [
    RECOVERY,
    "  return write(run, { historyId, sync",
    "  const late = await run.access.call(\"users.getProfile\", (token) => run.services.getHead(token));\n  return write(run, { historyId: late.kind === 'answered' ? late.value : historyId, sync",
  ]),
  mutation("a recovery walks over one page", [
    RECOVERY,
    "    told >= 0 ||\n    walked.oldPages",
    "    true ||\n    walked.oldPages",
  ]),
  {
    focus: "recovery",
    ...mutation("a recovery passes over a page that was not noted", [
      RECOVERY,
      "  else run.walkToken = undefined;",
      "",
    ]),
  },
  mutation("a broken list of messages is an empty one", [
    "google/gmail.ts",
    '  if (!isPlainObject(data)) throw malformed("messages.list");\n',
    "",
  ]),
  mutation("after a rewind the notified id stays", [RECOVERY, "notifiedHistoryId: __, ", ""]),
  {
    focus: "recovery",
    ...mutation("a recovery of the past is begun again", [
      SYNC,
      "      if (isPast) continue;\n",
      "",
    ]),
  },

  // Acknowledging and coming back.
  mutation("a notification is acknowledged although the store failed", [
    "handlers/gmail-notification.ts",
    '    throw new Redeliver("the store did not answer");',
    "",
  ]),
  mutation("a throttled mailbox has no due time", [
    "mailbox/sync-due.ts",
    '  if (failure.kind === "rate_limited") {',
    '  if (failure.kind === "rate_limited") return undefined;\n  if (failure.kind === "rate_limited") {',
  ]),
  mutation("a failed mailbox has no due time", [
    "mailbox/sync-due.ts",
    '  const isRepeated = sync.dueReason === "unfinished" && before !== undefined;',
    "  if (now.getTime() > 0) return undefined;\n  const isRepeated = false;",
  ]),
  mutation("an unfinished mailbox has no due time", [
    SYNC,
    "    return { ...progress, sync: stopped, isThrough: true };",
    "    return { ...progress, sync: {} };",
  ]),
  mutation("a run whose page another has covered leaves the next pages alone", [
    SYNC,
    '  if (written === "covered") return isLast ? unfinished(run) : undefined;',
    '  if (written === "covered") return { kind: "superseded", changes };',
  ]),
  mutation("a run that waited goes on with what it read before", [
    "mailbox/reconciliation.ts",
    "    const current = hasWaited ? await users.find(user.id) : user;",
    "    const current = user;",
  ]),

  // Grants.
  mutation("a wrong client secret is the user's fault", [
    "google/failure.ts",
    '    case "admin_policy_enforced":',
    '    case "invalid_client":\n    case "admin_policy_enforced":',
  ]),
  mutation("a 5xx of the token endpoint is the user's fault", [
    "google/failure.ts",
    '  if (status !== undefined && isPassing(status)) return { kind: "transient", reason };',
    '  if (call === "token.refresh" && status === 503) return { kind: "reauthorize", reason };\n  if (status !== undefined && isPassing(status)) return { kind: "transient", reason };',
  ]),
  mutation("access tokens refused within seconds flag the user", [
    "mailbox/failures.ts",
    "      if (!lasts(HOUR_MS)) return undefined;\n",
    "",
  ]),
  {
    focus: "grants",
    ...mutation(
      "a user is flagged whatever generation has failed",
      [
        "grant/flagging.ts",
        `      user.status !== failed.status ||
      user.grant.generation !== failed.grant.generation`,
        "      user.status !== failed.status",
      ],
      [
        "grant/access.ts",
        `    stored.status === user.status &&
    stored.grant.generation === user.grant.generation`,
        "    stored.status === user.status",
      ],
    ),
  },
  {
    focus: "security",
    ...mutation("a security event flags a grant that is newer than it", [
      "security/reaction.ts",
      "happenedAt <= later(grant.grantedAt, CLOCK_SKEW_MS)",
      "happenedAt <= new Date(0)",
    ]),
  },
  mutation("a rotated refresh token is not kept", [
    "grant/access.ts",
    "    await storeRotated(user, answer.refreshToken, services);",
    "",
  ]),
  mutation("a rotated refresh token that another run stored is not looked for", [
    "grant/access.ts",
    "            const isRotated = stored.grant.refreshToken !== user.grant.refreshToken;\n            user = stored;",
    "            const isRotated = false;",
  ]),
  mutation("there is no limit to how many users are flagged", [
    "grant/fleet-guard.ts",
    "const FLAGGED_MIN = 20;",
    "const FLAGGED_MIN = 2_000;",
  ]),
  mutation("a flagged user keeps the tokens", [
    "grant/flagging.ts",
    "withoutAccessToken(grant) : withoutTokens(grant),",
    "withoutAccessToken(grant) : grant,",
  ]),
  mutation("a flagged user's watch is renewed", [
    "grant/flagging.ts",
    "    watch: withoutRenewal(watch),",
    "    watch,",
  ]),
  mutation("a flagged user's mailbox stays due", [
    "grant/flagging.ts",
    "    sync: withoutDue(sync),",
    "    sync,",
  ]),
  mutation("nobody comes back to a status that was not announced", [
    "grant/flagging.ts",
    "    followUp: { ...followUp, dueAt: later(now, ANNOUNCE_GRACE_MS), failures: 0 },",
    "    followUp,",
  ]),

  // Mail to people.
  mutation("a mail is sent without being claimed", [
    "notices/series.ts",
    '  if ((await users.update(user, claim)) === "refused") return;',
    "",
  ]),
  mutation("a mail is sent although its claim was refused", [
    "notices/series.ts",
    '  if ((await users.update(user, claim)) === "refused") return;',
    "  await users.update(user, claim);",
  ]),
  {
    focus: "grants",
    ...mutation("an instance that slept on its claim sends all the same", [
      "notices/series.ts",
      "  if (later(now(), SEND_MS_MAX) >= claimedUntil) return;\n",
      "",
    ]),
  },
  mutation("a mail that was sent is not noted", [
    "notices/series.ts",
    "      const sent = sentTo(user) + 1;",
    "      const sent = sentTo(user);",
  ]),
  mutation("a mail that was not taken is never sent again", [
    "notices/series.ts",
    "      return { ...user.followUp, dueAt, failures: failures + 1 };",
    "      return { ...ended(user, services), failures: failures + 1 };",
  ]),
  mutation("a status that is announced owes no mail", [
    "grant/announcement.ts",
    "      return notify === undefined ? nextLook(user, services) : clock.now();",
    "      return undefined;",
  ]),
  {
    focus: "grants",
    ...mutation("a second announcement brings the next mail forward", [
      "grant/announcement.ts",
      "      if (isAnnounced(user)) return user.followUp.dueAt;\n",
      "",
    ]),
  },
  {
    focus: "security",
    ...mutation("a mailbox that comes back does not begin an episode", [
      "grant/follow-up.ts",
      "episode: episode + 1",
      "episode",
    ]),
  },

  // Events.
  mutation("an unreadable record and an expiry share an id", [
    "mailbox/event.ts",
    "return `${userId}/${event.toHistoryId}/gap`;",
    "return `${userId}/gap/${event.fromHistoryId}`;",
  ]),
  {
    focus: "security",
    ...mutation("every time that a mailbox is gone is told under one id", [
      "mailbox/event.ts",
      '? "" : `/${event.episode}`',
      '? "" : ""',
    ]),
  },
  mutation("an added message is named by its record", [
    "mailbox/event.ts",
    "return `${userId}/added/${event.messageId}`;",
    "return `${userId}/${event.historyId}/added/${event.messageId}`;",
  ]),
  mutation("a token is logged", [
    "mailbox/renewal.ts",
    "(token) => watchAgain(token, services)",
    '(token) => (log.info("watching", "with", { token }), watchAgain(token, services))',
  ]),

  // What one mailbox meets, and how long.
  {
    focus: "refusals",
    ...mutation("a delay is never told", [
      "mailbox/delay.ts",
      "if (behindSince === undefined || !isDelayDue(user, limits.delayedAfterMs, now)) return undefined;",
      "if (behindSince === undefined || now >= behindSince) return undefined;",
    ]),
  },
  {
    focus: "refusals",
    ...mutation("a delay is told to subscribers only", [
      "mailbox/delay.ts",
      'log.alert("mailbox_delayed"',
      'log.info("mailbox_delayed"',
    ]),
  },
  {
    focus: "refusals",
    ...mutation("a refusal of one mailbox never ends", [
      "mailbox/failures.ts",
      'if (!lasts(family === "mailbox" ? DAY_MS : THROTTLED_MS)) return undefined;',
      'if (family === "mailbox" || !lasts(THROTTLED_MS)) return undefined;',
    ]),
  },
  {
    focus: "refusals",
    ...mutation("some 401s end a grant", [
      "mailbox/failures.ts",
      "if (!lasts(HOUR_MS)) return undefined;",
      "if (!lasts(0)) return undefined;",
    ]),
  },
  {
    focus: "refusals",
    ...mutation("the waits after a failure do not grow", [
      "mailbox/sync-due.ts",
      "return Math.min(FAILURE_DUE_MS * 2 ** Math.min(count, 16), max);",
      "return Math.min(FAILURE_DUE_MS, max, count + FAILURE_DUE_MS);",
    ]),
  },
  {
    focus: "histories",
    ...mutation("one stray 404 is believed", [
      "mailbox/expiry.ts",
      "await services.clock.sleep(CONFIRM_MS);\n  if (expired",
      'if (expired.reason === "history_expired") return { kind: "confirmed", ...expired };\n  if (expired',
    ]),
  },
  {
    focus: "histories",
    ...mutation("a head that is not found is looked for without a pause", [
      "mailbox/recovery.ts",
      "return PAUSES_MS[Math.min(recoveries, PAUSES_MS.length) - 1] ?? 0;",
      "return 0 * recoveries;",
    ]),
  },
  {
    focus: "histories",
    ...mutation("the walk stops at the first old message", [
      "mailbox/message-ages.ts",
      'if (age.value === "young") return { kind: "answered", value: false };',
      'if (age.value === "old") return { kind: "answered", value: true };',
    ]),
  },
  {
    focus: "life",
    ...mutation("a draft that is sent stays untold", [
      "mailbox/history.ts",
      "if (sent.length === 0) return items;",
      "if (sent.length >= 0) return items;",
    ]),
  },
  {
    focus: "life",
    ...mutation("the address of a mailbox is never compared", [
      "mailbox/address.ts",
      "if (named === undefined) return undefined;\n  const found",
      "if (named === undefined || named !== undefined) return undefined;\n  const found",
    ]),
  },
  {
    focus: "life",
    ...mutation("positions settle by the clock of the instance", [
      "user.ts",
      "return later(read.at, elapsedMs(read.receivedAt, clock));",
      "return read.at > clock.now() ? clock.now() : clock.now();",
    ]),
  },
  {
    focus: "life",
    ...mutation("a date of next year is believed", [
      "mailbox/each-due.ts",
      "let range: DueRange = { upTo: startedAt, beyond: later(startedAt, aheadMs) };",
      "let range: DueRange = { upTo: startedAt, beyond: later(startedAt, 1_000 * aheadMs) };",
    ]),
  },
];
