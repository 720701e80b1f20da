import { readFileSync } from "node:fs";
import path from "node:path";
import { table } from "../../functions/table.ts";
import { titleOf } from "../support/test-titles.ts";
import type { GmailMethod } from "./methods.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** The page that has the table. */
export const PARITY_PAGE = "test/gmail-emulator/README.md";
const TABLE = /(<!-- parity -->\n)[^]*?(<!-- end of parity -->)/;

interface Row {
  methods: readonly GmailMethod[];
  /** What is no method of Gmail. */
  other?: string;
  behaviour: string;
  /** The page of Google's documentation, or the RFC. */
  source: string;
  /** Files of this folder, and how titles in them begin. */
  tests: readonly [file: string, title: string][];
}

/** What the emulator does as Google does. */
export const PARITY: readonly Row[] = [
  {
    methods: ["history.list"],
    behaviour: "records after a start id, by type and label, in pages; 404 for what is too old",
    source: "users.history.list",
    tests: [
      ["history", "returns the records after the cursor"],
      ["history", "filters by type of change and by label"],
      ["history", "pages by `maxResults`"],
      ["history", "answers 404 below the oldest record"],
    ],
  },
  {
    methods: ["users.watch", "users.stop"],
    behaviour: "one topic for each project, seven days, a notification at once, labels in or out",
    source: "users.watch, users.stop; guide: push notifications",
    tests: [
      ["watch", "returns the head and an expiry in seven days"],
      ["watch", "renews with the same topic"],
      ["watch", "notifies only of included labels"],
      ["watch", "stops notifying after stop"],
    ],
  },
  {
    methods: [],
    other: "push to a URL, Pub/Sub emulator",
    behaviour: "address and history id as a Pub/Sub message, again until acknowledged",
    source: "guide: push notifications; Pub/Sub: push subscriptions",
    tests: [
      ["push", "posts a CloudEvent in binary mode"],
      ["push", "delivers again, under the same message id"],
      ["push", "publishes to a topic of the Pub/Sub emulator"],
    ],
  },
  {
    methods: ["users.getProfile"],
    behaviour: "address, counts and head",
    source: "users.getProfile",
    tests: [["messages", "returns the profile with the head"]],
  },
  {
    methods: ["messages.list"],
    behaviour: "newest first, in pages, by labels, without spam and trash; `q`",
    source: "users.messages.list; guide: search operators",
    tests: [
      ["messages", "lists messages by arrival"],
      ["messages", "hides spam and trash"],
      ["search", "finds by %j what Gmail finds"],
      ["search", "takes a day to begin at midnight in California"],
    ],
  },
  {
    methods: ["messages.get"],
    behaviour: "all four formats, parts within parts, decoded; what the scope allows",
    source: "users.messages.get; users.messages: Message",
    tests: [
      ["mail", "returns parts within parts"],
      ["mail", "returns a mail byte by byte"],
      ["messages", "returns metadata but no content under the metadata scope"],
    ],
  },
  {
    methods: ["messages.attachments.get"],
    behaviour: "files by the id in the payload",
    source: "users.messages.attachments.get",
    tests: [["mail", "returns a file by the id"]],
  },
  {
    methods: ["messages.insert", "messages.import"],
    behaviour: "`raw`, labels, thread, `internalDateSource`; uploads",
    source: "users.messages.insert, users.messages.import; guide: uploads",
    tests: [
      ["mail", "dates an imported mail by its header"],
      ["mail", "takes an upload"],
    ],
  },
  {
    methods: ["messages.send"],
    behaviour: "under the person's own address, to To, Cc and Bcc, into the thread that it answers",
    source: "users.messages.send; guides: sending, threads",
    tests: [
      ["mail", "reaches everybody in To, Cc and Bcc"],
      ["mail", "puts the person's own address"],
      ["mail", "puts an answer into the thread"],
    ],
  },
  {
    methods: ["messages.modify", "messages.batchModify", "messages.trash", "messages.untrash"],
    behaviour: "labels of one message or, in one record, of many",
    source: "users.messages.modify, .batchModify, .trash, .untrash",
    tests: [["mail", "change the labels of messages and threads"]],
  },
  {
    methods: ["messages.delete", "messages.batchDelete", "threads.delete"],
    behaviour: "for good, with the scope https://mail.google.com/ alone",
    source: "users.messages.delete, .batchDelete, users.threads.delete",
    tests: [
      ["mail", "takes a message, several in one record, or a thread"],
      ["mail", "needs the widest scope"],
    ],
  },
  {
    methods: ["threads.list", "threads.get"],
    behaviour: "the threads of the messages that a list would have; all messages of one",
    source: "users.threads.list, users.threads.get",
    tests: [
      ["mail", "puts an answer into the thread"],
      ["search", "works for threads, too"],
    ],
  },
  {
    methods: ["threads.modify", "threads.trash", "threads.untrash"],
    behaviour: "labels of every message of a thread",
    source: "users.threads.modify, .trash, .untrash",
    tests: [["mail", "change the labels of messages and threads"]],
  },
  {
    methods: [
      "drafts.list",
      "drafts.get",
      "drafts.create",
      "drafts.update",
      "drafts.delete",
      "drafts.send",
    ],
    behaviour: "a draft keeps its id while its message changes; sent, it reaches its receivers",
    source: "users.drafts; guide: drafts",
    tests: [
      ["mail", "keep their id while they are written"],
      ["mail", "are listed, too, when the person writes them"],
      ["mail", "can be uploaded"],
    ],
  },
  {
    methods: [
      "labels.list",
      "labels.get",
      "labels.create",
      "labels.update",
      "labels.patch",
      "labels.delete",
    ],
    behaviour: "names of their own, counts, deletion from every message",
    source: "users.labels",
    tests: [
      ["mail", "are made, renamed, counted and deleted"],
      ["mail", "have names of their own"],
    ],
  },
  {
    methods: [
      "settings.getImap",
      "settings.updateImap",
      "settings.getPop",
      "settings.updatePop",
      "settings.getVacation",
      "settings.updateVacation",
      "settings.filters.list",
      "settings.filters.get",
      "settings.filters.create",
      "settings.filters.delete",
    ],
    behaviour: "stored and returned, without effect",
    source: "users.settings, users.settings.filters",
    tests: [["mail", "are kept, and have no effect"]],
  },
  {
    methods: [
      "settings.forwardingAddresses.list",
      "settings.forwardingAddresses.get",
      "settings.forwardingAddresses.create",
      "settings.forwardingAddresses.delete",
      "settings.sendAs.list",
      "settings.sendAs.get",
      "settings.sendAs.create",
      "settings.sendAs.update",
      "settings.sendAs.patch",
      "settings.sendAs.delete",
    ],
    behaviour: "made and deleted by service accounts with domain-wide delegation alone",
    source: "users.settings.sendAs, users.settings.forwardingAddresses",
    tests: [["service-accounts", "changes the settings that a person's own grant cannot change"]],
  },
  {
    methods: [],
    other: "batches",
    behaviour: "up to a hundred calls, each with its own answer",
    source: "guide: batching requests",
    tests: [
      ["batch", "answers each call in its place"],
      ["batch", "refuses more than a hundred calls"],
    ],
  },
  {
    methods: [],
    other: "scopes, quota, disabled API or mail",
    behaviour: "403, 429 and 400 in Google's words, by the scopes of each method's page",
    source: "guide: resolve errors; usage limits",
    tests: [
      ["people", "rejects a token without the scope"],
      ["people", "rejects a user over the quota"],
      ["people", "rejects every call while the project's Gmail API is disabled"],
      ["people", "has no mail service while it is off"],
    ],
  },
  {
    methods: [],
    other: "consent page",
    behaviour: "choice of account, scopes that can be unticked, `prompt`, `login_hint`, `hd`",
    source: "OAuth 2.0 for web server applications",
    tests: [
      ["authorization", "redirects the person back with code"],
      ["authorization", "grants less when a scope is unticked"],
      ["authorization", "shows no consent page to a person who already allowed the same"],
    ],
  },
  {
    methods: [],
    other: "token endpoint",
    behaviour: "codes once and with PKCE, refresh tokens, ID tokens, rotation",
    source: "OAuth 2.0 for web server applications; RFC 6749, RFC 7636",
    tests: [
      ["token-endpoint", "accepts a code once"],
      ["token-endpoint", "rejects a code with a wrong or missing verifier"],
      ["token-endpoint", "issues a refresh token for offline access the first time"],
      ["token-endpoint", "signs ID tokens that verify"],
    ],
  },
  {
    methods: [],
    other: "service accounts",
    behaviour: "signed assertions for a person of a domain that delegates",
    source: "OAuth 2.0 for service accounts; RFC 7523",
    tests: [
      ["service-accounts", "acts for every person of a domain"],
      ["service-accounts", "is refused what the domain has not delegated"],
    ],
  },
  {
    methods: [],
    other: "revocation, end of grants",
    behaviour: "a revoked token ends the grant, a changed password the tokens of Gmail",
    source: "OAuth 2.0 for web server applications; RFC 7009",
    tests: [
      ["token-endpoint", "ends the whole grant when either token is revoked"],
      ["people", "ends only Gmail's refresh and access tokens"],
    ],
  },
  {
    methods: [],
    other: "Cross-Account Protection",
    behaviour: "security event tokens that verify with the published keys",
    source: "Cross-Account Protection; RFC 8417",
    tests: [["control", "signs security events that verify"]],
  },
];

/** Returns the page with the table of today's tests. Throws for a row whose test is gone. */
export function parityPage(): string {
  const page = readFileSync(path.join(ROOT, PARITY_PAGE), "utf8");
  const rows = PARITY.map(({ methods, other, behaviour, source, tests }) => [
    other ?? methods.map((method) => `\`${method}\``).join(", "),
    behaviour,
    source,
    tests
      .map(([file, title]) => `${file}: ${titleOf(`gmail-emulator/${file}`, title)}`)
      .join("<br>"),
  ]);
  const head = ["method", "behaviour", "source", "tests, in this folder"];
  const made = table(head, rows);
  return page.replace(TABLE, (_, begin: string, end: string) => `${begin}\n${made}\n\n${end}`);
}
