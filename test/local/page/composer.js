import { chosenAccount } from "./account.js";
import { act, say } from "./acts.js";
import { setText } from "./element.js";

const dialog = document.getElementById("composer");
const form = document.getElementById("new-mail");
const SAID = {
  deliver: (subject) => `Delivered “${subject}”.`,
  send: (subject) => `Sent “${subject}”.`,
  "save-draft": (subject) => `Saved the draft “${subject}”.`,
};

let threadId;

export function wireComposer() {
  document.getElementById("compose").addEventListener("click", () => openComposer());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await write(event.submitter?.value ?? "deliver", Object.fromEntries(new FormData(form)));
  });
}

/** Opens the dialog: for a new mail, or for an answer to one, in its conversation. */
export function openComposer(reply) {
  threadId = reply?.threadId;
  const { elements } = form;
  form.reset();
  if (reply !== undefined) {
    const isOwn = reply.from.includes(chosenAccount().email);
    elements.other.value = isOwn ? reply.to : reply.from;
    elements.subject.value = `Re: ${reply.subject.replace(/^Re: /, "")}`;
  }
  for (const place of form.querySelectorAll("[data-name]")) setText(place, chosenAccount().name);
  dialog.showModal();
  elements.subject.focus();
}

async function write(name, { other, subject, text }) {
  const mail = {
    account: chosenAccount().email,
    subject,
    text,
    [name === "deliver" ? "from" : "to"]: other,
    ...(threadId !== undefined && { threadId }),
  };
  if ((await act(name, mail)) === undefined) return;
  dialog.close();
  say(SAID[name](subject));
}
