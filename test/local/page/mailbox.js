import { chosenAccount } from "./account.js";
import { act, say } from "./acts.js";
import { openComposer } from "./composer.js";
import { element, renderKeyed, setText, toClock } from "./element.js";
import { byFolder, FOLDERS, foldersOf, nameOf, threadsOf } from "./threads.js";

const folders = document.getElementById("folders");
const conversations = document.getElementById("conversations");
const list = document.getElementById("threads");
const none = document.getElementById("no-threads");
const thread = document.getElementById("thread");
const subject = document.getElementById("thread-subject");
const messages = document.getElementById("messages");
const heading = document.getElementById("mailbox-heading");

let folder = FOLDERS[0].id;
let openId;
let shown = [];

export function wireMailbox() {
  document.getElementById("back").addEventListener("click", closeThread);
  document.getElementById("reply").addEventListener("click", () => {
    const last = openMessages().at(-1);
    if (last !== undefined) openComposer(last);
  });
}

export function showMessages(account) {
  shown = account.messages;
  render();
}

/** Goes back from a conversation to the list. */
export function closeThread() {
  if (openId === undefined) return;
  const row = list.querySelector(`[data-key="${CSS.escape(openId)}"] [data-item]`);
  openId = undefined;
  render();
  (row ?? heading).focus();
}

const openMessages = () =>
  shown.filter(({ threadId }) => threadId === openId).toSorted((a, b) => (a.at < b.at ? -1 : 1));

function render() {
  const its = openMessages();
  const isGone = openId !== undefined && its.length === 0;
  if (isGone) openId = undefined;
  const known = foldersOf(shown);
  // A label that no message has any more is no folder.
  if (known.every(({ id }) => id !== folder)) folder = FOLDERS[0].id;
  renderKeyed(folders, known, {
    key: ({ id }) => id,
    create: createFolder,
    update: updateFolder,
  });
  const threads = threadsOf(shown).filter((conversation) =>
    conversation.messages.some((message) => byFolder(folder, message)),
  );
  renderKeyed(list, threads, { key: ({ id }) => id, create: createRow, update: updateRow });
  none.hidden = threads.length > 0;
  // The keyboard goes on from the mailbox, not from the top of the page.
  if (isGone && thread.contains(document.activeElement)) heading.focus();
  thread.hidden = openId === undefined;
  conversations.hidden = openId !== undefined;
  if (openId === undefined) return;
  setText(subject, its[0].subject);
  renderKeyed(messages, its, { key: ({ id }) => id, create: createMessage, update: updateMessage });
}

function createFolder({ id }) {
  const button = element("button", { type: "button" }, element("span"), " ", element("b"));
  button.addEventListener("click", () => {
    folder = id;
    openId = undefined;
    render();
  });
  return button;
}

function updateFolder(button, { id, label, unread }) {
  setText(button.children[0], label);
  setText(button.children[1], unread === 0 ? "" : String(unread));
  button.setAttribute("aria-pressed", String(id === folder && openId === undefined));
}

function createRow({ id }) {
  const open = element(
    "button",
    { type: "button", class: "open", "data-item": "" },
    element("span", { class: "from" }),
    element("time"),
    element("span", { class: "subject" }),
    element("span", { class: "snippet" }),
  );
  open.addEventListener("click", () => openThread(id));
  const star = element("button", { type: "button", class: "star" }, "☆");
  star.addEventListener("click", () => toggleStar(id));
  return element("li", {}, open, star);
}

function updateRow(row, { messages: its, subject: title, isUnread, isStarred }) {
  const [open, star] = row.children;
  const [from, time, subjectPlace, snippet] = open.children;
  const last = its.at(-1);
  row.classList.toggle("unread", isUnread);
  setText(from, its.length > 1 ? `${nameOf(last.from)} (${its.length})` : nameOf(last.from));
  time.dateTime = last.at;
  setText(time, toClock(last.at));
  setText(subjectPlace, title);
  setText(snippet, last.text);
  setText(star, isStarred ? "★" : "☆");
  star.setAttribute("aria-pressed", String(isStarred));
  star.setAttribute("aria-label", `Star: ${title}`);
}

async function openThread(id) {
  openId = id;
  render();
  subject.focus();
  const unread = openMessages().filter(({ labelIds }) => labelIds.includes("UNREAD"));
  if (unread.length > 0) {
    await act("mark-read", {
      account: chosenAccount().email,
      messageIds: unread.map((message) => message.id),
    });
  }
}

async function toggleStar(threadId) {
  const its = shown.filter((message) => message.threadId === threadId);
  const starred = its.filter(({ labelIds }) => labelIds.includes("STARRED"));
  const account = chosenAccount().email;
  const last = its.at(0);
  if (starred.length === 0) await act("star", { account, messageIds: [last.id] });
  else {
    const messageIds = starred.map(({ id }) => id);
    await act("remove-labels", { account, messageIds, labelIds: ["STARRED"] });
  }
}

const SEND = ["Send", "send-draft", (messageId) => ({ messageId })];
/** What can be done with a message: on the button, and to Gmail. */
const ACTS = [
  ["Archive", "archive"],
  ["Mark unread", "mark-unread"],
  ["Label “Work”", "add-labels", (messageIds) => ({ messageIds, labelIds: ["Work"] })],
  ["Trash", "trash"],
  ["Delete", "delete-message"],
];

function createMessage({ id, from, to, at, text, subject: title, labelIds }) {
  const acts = labelIds.includes("DRAFT") ? [SEND, ...ACTS] : ACTS;
  const buttons = acts.map(([label, name, bodyOf = (messageIds) => ({ messageIds })]) => {
    const button = element("button", { type: "button", "aria-label": `${label}: ${title}` }, label);
    button.addEventListener("click", async () => {
      const answer = await act(name, { account: chosenAccount().email, ...bodyOf(id) });
      if (answer !== undefined) say(`${label}: “${title}”.`);
    });
    return button;
  });
  return element(
    "li",
    {},
    element("strong", { tabindex: "-1", "data-item": "" }, from),
    " ",
    element("time", { datetime: at }, toClock(at)),
    element("p", { class: "hint" }, `to ${to}`),
    element("p", { class: "text" }, text),
    element("p", { class: "labels" }),
    element("p", { class: "row small" }, ...buttons),
  );
}

function updateMessage(row, { labelIds }) {
  setText(row.querySelector(".labels"), labelIds.join(" · "));
}
