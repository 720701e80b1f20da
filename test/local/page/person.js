import { act, runSchedule, say, travel } from "./acts.js";
import { chosenAccount } from "./account.js";
import { setText } from "./element.js";

const standing = document.getElementById("standing");
const pill = document.getElementById("pill");
const clock = document.getElementById("clock");
const allow = document.getElementById("allow");
const nodes = document.querySelectorAll("#diagram [data-status]");

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
];

/** The last link to each person, by email address. */
const links = new Map();
let shownUser;
let aheadMs = 0;
let schedules = {};

/** Wires what people, Google and the clock do. */
export function wirePerson() {
  for (const button of document.querySelectorAll("button[data-acts]")) {
    button.addEventListener("click", () => doActs(button));
  }
  for (const button of document.querySelectorAll("button[data-schedule]")) {
    button.addEventListener("click", async () => {
      const answer = await runSchedule(button.dataset.schedule);
      if (answer !== undefined) say(`${label(button)}: done, HTTP ${answer.status}.`);
    });
  }
  for (const button of document.querySelectorAll("button[data-forward]")) {
    button.addEventListener("click", async () => {
      if ((await travel(Number(button.dataset.forward))) !== undefined) {
        say(`${label(button)}: the schedules have run.`);
      }
    });
  }
  setInterval(showTimes, 1_000);
}

async function doActs(button) {
  const { acts, body = "{}", for: whom } = button.dataset;
  const isForAll = whom === "all";
  const { email } = chosenAccount();
  for (const [index, name] of acts.split(/\s+/).entries()) {
    const wish = { ...(!isForAll && { account: email }), ...(index === 0 && JSON.parse(body)) };
    if ((await act(name, wish)) === undefined) return;
  }
  say(isForAll ? `${label(button)}: done.` : `${label(button)}: done for ${email}.`);
}

function label(button) {
  return button.textContent.trim().replaceAll(/\s+/g, " ");
}

function notifying({ isNotifying }) {
  return isNotifying ? "Gmail notifies of every change." : "Gmail notifies of nothing.";
}

/** Shows the state of the connection: in words, in the diagram, and in the bar. */
export function showPerson(account, user) {
  shownUser = user;
  showLink();
  const { status = "none", statusReason } = user?.document ?? {};
  const words = status === "none" ? "Not connected" : status.replaceAll("_", " ");
  setText(pill, words);
  pill.dataset.status = status;
  for (const node of nodes) node.classList.toggle("current", node.dataset.status === status);
  const parts = [
    status === "none" ? "Not connected." : `The receiver says: ${words} (${statusReason}).`,
    ...(status === "active" ? [notifying(account)] : []),
    ...(account.standing === "active" ? [] : [`Google has ${account.standing} the account.`]),
    ...(account.isBlockedByAdmin ? ["Its administrator blocks the app."] : []),
  ];
  setText(standing, parts.join(" "));
}

/** Takes over the link that an event brings. */
export function noteLink({ data: { emailAddress, reauthorizeUrl } }) {
  if (reauthorizeUrl === undefined) return;
  links.set(emailAddress, reauthorizeUrl);
  showLink();
}

/** Offers the person's link while their access has ended. */
function showLink() {
  const { status, emailAddress } = shownUser?.document ?? {};
  const url = status === "reauthorization_required" ? links.get(emailAddress) : undefined;
  allow.hidden = url === undefined;
  if (url !== undefined) allow.href = url;
}

/** Takes over how far the time is ahead, and when the schedules run. */
export function showSchedules(state) {
  ({ aheadMs, schedules } = state);
  showTimes();
}

function showTimes() {
  const now = new Date(Date.now() + aheadMs);
  const ahead = UNITS.map(([unit, ms], index) => {
    const before = UNITS[index - 1]?.[1] ?? Number.POSITIVE_INFINITY;
    const count = Math.floor((aheadMs % before) / ms);
    return count === 0 ? "" : `${count} ${unit}${count === 1 ? "" : "s"}`;
  }).filter((text) => text !== "");
  const text = now.toLocaleString([], { dateStyle: "full", timeStyle: "medium" });
  setText(clock, ahead.length === 0 ? text : `${text}, ${ahead.join(" and ")} ahead`);
  for (const place of document.querySelectorAll("[data-next]")) {
    const at = schedules[place.dataset.next];
    const seconds = Math.max(0, Math.round((new Date(at) - Date.now()) / 1_000));
    const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    setText(place, at === undefined ? "" : `by itself in ${left}`);
  }
}
