import { chosenAddress, showAccounts, showStanding, wireAccount } from "./account.js";
import { say } from "./acts.js";
import { showCalls } from "./calls.js";
import { showChange } from "./changes.js";
import { setText } from "./element.js";
import { showLog, wireLog } from "./log.js";
import { showMail } from "./mail.js";
import { showMessages, wireMailbox } from "./mailbox.js";
import { showStored } from "./stored.js";

let state = { accounts: [], users: [], calls: [], schedules: {} };
let startedAt;

wireAccount(showState);
wireMailbox();
wireLog();
listen();
setInterval(showNextRuns, 1_000);

function listen() {
  const live = new EventSource("live");
  const on = (kind, show) =>
    live.addEventListener(kind, ({ data }) => {
      show(JSON.parse(data));
    });
  on("hello", (hello) => {
    // Another server than the one that this page shows: its story begins anew.
    if (startedAt !== undefined && startedAt !== hello.startedAt) location.reload();
    if (startedAt !== undefined) say("");
    startedAt = hello.startedAt;
  });
  on("addresses", ({ start, status }) => {
    document.getElementById("start").href = start;
    document.getElementById("status").href = status;
  });
  on("published", showChange);
  on("mail", showMail);
  on("log", showLog);
  on("state", (shown) => {
    state = shown;
    showState();
    showNextRuns();
  });
  live.addEventListener("error", () => say("The server does not answer. Is it still running?"));
}

function showState() {
  showAccounts(state.accounts);
  showCalls(state.calls);
  const account = state.accounts.find(({ email }) => email === chosenAddress());
  if (account === undefined) return;
  const user = state.users.find(({ id }) => id === account.sub);
  showStanding(account, user);
  showMessages(account);
  showStored(user);
}

function showNextRuns() {
  for (const place of document.querySelectorAll("[data-next]")) {
    const at = state.schedules[place.dataset.next];
    const seconds = Math.max(0, Math.round((new Date(at) - Date.now()) / 1_000));
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    setText(place, at === undefined ? "" : `by itself in ${clock}`);
  }
}
