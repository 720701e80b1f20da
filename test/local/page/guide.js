import { chosenAccount } from "./account.js";
import { act, say } from "./acts.js";
import { setText } from "./element.js";
import { show } from "./panes.js";
import { openEvent } from "./stream.js";

const list = document.getElementById("steps");
const steps = [...list.children];
const folder = document.getElementById("guide-fold");
const progress = document.getElementById("guide-progress");
const missed = document.getElementById("guide-missed");
const allow = document.getElementById("guide-allow");

const ADDED = "mailbox.message.added";
const FOLDED = "guide-folded";
/** How many mails come while the app has no access. */
const MISSED = 2;

/** The steps that are done; a step that comes after them is current. */
let done = 0;

/** Wires the buttons. Every step ticks itself off by what happens, however it was done. */
export function wireGuide() {
  on("guide-deliver", async () => {
    if (await deliver("Lunch?")) say("Delivered “Lunch?”.");
  });
  on("guide-event", () => {
    show("stream");
    openEvent(ADDED);
  });
  on("guide-revoke", async () => {
    const { email: account } = chosenAccount();
    if ((await act("revoke-access", { account })) === undefined) return;
    for (let mail = 1; mail <= MISSED; mail += 1) await deliver(`While you were away, ${mail}`);
    say(`Removed the app's access, and delivered ${MISSED} mails.`);
  });
  on("guide-done", () => {
    show("stream");
    openEvent(ADDED);
    finish(6);
  });
  on("guide-fold", () => fold(!list.hidden));
  fold(localStorage.getItem(FOLDED) === "yes");
  render();
}

function fold(isFolded) {
  list.hidden = isFolded;
  setText(folder, isFolded ? "Show" : "Hide");
  folder.setAttribute("aria-expanded", String(!isFolded));
  localStorage.setItem(FOLDED, isFolded ? "yes" : "no");
}

/** Moves the keyboard to the current step. */
export function goToStep() {
  fold(false);
  steps[done]?.querySelector("a, button").focus();
}

/** Ticks off the step that an event of the topic completes. */
export function noteEvent({ type, data }) {
  if (type === "mailbox.connected" && data.generation === 1) finish(1);
  if (type === ADDED) finish(2);
  if (type === "mailbox.reauthorization_required") {
    allow.href = data.reauthorizeUrl;
    finish(4);
  }
  if (type === "mailbox.connected" && data.generation > 1 && done >= 4) {
    const { recoveredChanges: count = 0 } = data;
    setText(missed, `See that nothing was lost: ${count} missed changes were delivered.`);
    finish(5);
  }
}

/** Ticks off that somebody has looked at a change. */
export function noteOpened({ type }) {
  if (type === ADDED && done === 2) finish(3);
}

async function deliver(subject) {
  const { email: account } = chosenAccount();
  return (
    (await act("deliver", { account, subject, from: "Bob Example <bob@example.com>" })) !==
    undefined
  );
}

function on(id, run) {
  document.getElementById(id).addEventListener("click", run);
}

/** The steps before the one that is done are done, too. */
function finish(step) {
  if (step <= done) return;
  const focused = steps[done]?.contains(document.activeElement);
  done = step;
  render();
  if (focused && step < steps.length) goToStep();
}

function render() {
  for (const [index, step] of steps.entries()) {
    step.classList.toggle("done", index < done);
    if (index === done) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
  setText(progress, done === steps.length ? "done" : `step ${done + 1} of ${steps.length}`);
}
