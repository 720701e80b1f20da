import { act, runSchedule, say } from "./acts.js";
import { element, renderKeyed, setText } from "./element.js";

const select = document.getElementById("account");
const standing = document.getElementById("standing");

/** The address of the account that everything on the page is done for. */
export function chosenAddress() {
  return select.value;
}

/** Wires what is done to accounts and by schedules; `onChoice` is called when another one is chosen. */
export function wireAccount(onChoice) {
  select.addEventListener("change", onChoice);

  document.getElementById("new-account").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const email = new FormData(form).get("email");
    if ((await act("create-account", { email })) === undefined) return;
    form.reset();
    say(`Created ${email}.`);
    await choose(email);
    onChoice();
  });

  for (const button of document.querySelectorAll("button[data-acts]")) {
    button.addEventListener("click", () => doActs(button));
  }
  for (const button of document.querySelectorAll("button[data-schedule]")) {
    button.addEventListener("click", async () => {
      const answer = await runSchedule(button.dataset.schedule);
      if (answer !== undefined) say(`${label(button)}: done, HTTP ${answer.status}.`);
    });
  }
}

async function doActs(button) {
  const { acts, body = "{}", for: whom } = button.dataset;
  const account = whom === "all" ? {} : { account: chosenAddress() };
  for (const name of acts.split(/\s+/)) {
    const isFirst = acts.startsWith(name);
    const answer = await act(name, { ...account, ...(isFirst && JSON.parse(body)) });
    if (answer === undefined) return;
  }
  say(
    whom === "all" ? `${label(button)}: done.` : `${label(button)}: done for ${chosenAddress()}.`,
  );
}

function label(button) {
  return button.textContent.trim().replaceAll(/\s+/g, " ");
}

/** Chooses an account as soon as the page knows it. */
async function choose(email) {
  const known = [...select.options].some(({ value }) => value === email);
  if (!known) select.append(option({ email }));
  select.value = email;
}

export function showAccounts(accounts) {
  renderKeyed(select, accounts, {
    key: ({ email }) => email,
    create: option,
    update: () => {},
  });
}

function option({ email }) {
  const made = element("option", { value: email }, email);
  made.dataset.key = email;
  return made;
}

export function showStanding(account, user) {
  const parts = [
    statusText(user),
    account.isNotifying ? "Gmail notifies of every change." : "Gmail notifies of nothing.",
    ...(account.standing === "active" ? [] : [`Google has ${account.standing} the account.`]),
    ...(account.isBlockedByAdmin ? ["Its administrator blocks the app."] : []),
  ];
  setText(standing, parts.join(" "));
  const isActive = user?.document.status === "active";
  standing.className = user === undefined ? "" : isActive ? "good" : "warning";
}

function statusText(user) {
  if (user === undefined) return "Not connected.";
  const { status, statusReason } = user.document;
  return `The receiver says: ${status} (${statusReason}).`;
}
