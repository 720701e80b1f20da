import { chosenAccount, showAccounts, wireAccount } from "./account.js";
import { say } from "./acts.js";
import { showCall } from "./calls.js";
import { wireComposer } from "./composer.js";
import { noteEvent, noteOpened, wireGuide } from "./guide.js";
import { showLog, wireLog } from "./log.js";
import { showMail } from "./mail.js";
import { showMessages, wireMailbox } from "./mailbox.js";
import { wirePanes } from "./panes.js";
import { noteLink, showPerson, showSchedules, wirePerson } from "./person.js";
import { wireShortcuts } from "./shortcuts.js";
import { noteWrite, showStored } from "./stored.js";
import {
  applyFilter,
  noteSubjects,
  showDelivery,
  showEndpoint,
  showEvent,
  wireStream,
} from "./stream.js";

let state = { accounts: [], users: [], schedules: {}, aheadMs: 0 };
let startedAt;

wirePanes();
wireAccount(showChosen);
wireMailbox();
wireComposer();
wireStream(noteOpened);
wirePerson();
wireGuide();
wireLog();
wireShortcuts();
listen();

function listen() {
  const live = new EventSource("live");
  const on = (kind, show) =>
    live.addEventListener(kind, ({ data }) => {
      show(JSON.parse(data));
    });
  on("hello", (hello) => {
    // Another server than the one that this page shows: its story starts again.
    if (startedAt !== undefined && startedAt !== hello.startedAt) location.reload();
    if (startedAt !== undefined) say("");
    startedAt = hello.startedAt;
  });
  on("addresses", ({ start, status, push }) => {
    for (const link of document.querySelectorAll("[data-start]")) link.href = start;
    document.getElementById("status").href = status;
    showEndpoint(push);
  });
  on("published", (event) => {
    noteLink(event);
    showEvent(event);
    noteEvent(event);
  });
  on("delivery", showDelivery);
  on("step", noteWrite);
  on("call", showCall);
  on("mail", showMail);
  on("log", showLog);
  on("state", (shown) => {
    state = shown;
    showAccounts(state.accounts);
    showSchedules(state);
    noteSubjects(state.accounts.flatMap(({ messages }) => messages));
    showChosen();
  });
  live.addEventListener("error", () => say("The server does not answer. Is it still running?"));
}

function showChosen() {
  const account = state.accounts.find(({ email }) => email === chosenAccount().email);
  if (account === undefined) return;
  const user = state.users.find(({ id }) => id === account.sub);
  showPerson(account, user);
  showMessages(account);
  showStored(account.sub, user);
  applyFilter();
}
