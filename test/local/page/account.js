import { say, act } from "./acts.js";
import { element, renderKeyed } from "./element.js";

const select = document.getElementById("account");

let accounts = [];

/** The account that everything on the page is done for. */
export function chosenAccount() {
  return accounts.find(({ email }) => email === select.value) ?? { email: select.value, name: "" };
}

/** Wires the choice of a person; `onChoice` is called when another one is chosen. */
export function wireAccount(onChoice) {
  select.addEventListener("change", onChoice);
  document.getElementById("new-account").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const email = new FormData(form).get("email");
    if ((await act("create-account", { email })) === undefined) return;
    form.reset();
    say(`Created ${email}.`);
    const known = [...select.options].some(({ value }) => value === email);
    if (!known) select.append(option({ email }));
    select.value = email;
    onChoice();
  });
}

export function showAccounts(all) {
  accounts = all;
  renderKeyed(select, all, { key: ({ email }) => email, create: option, update: () => {} });
}

function option({ email }) {
  const made = element("option", { value: email }, email);
  made.dataset.key = email;
  return made;
}
