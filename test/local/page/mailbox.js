import { chosenAddress } from "./account.js";
import { act, say } from "./acts.js";
import { element, renderKeyed, setText } from "./element.js";

const list = document.getElementById("messages");
const more = document.getElementById("more-messages");

export function wireMailbox() {
  document.getElementById("new-mail").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = event.submitter?.value ?? "deliver";
    const subject = new FormData(event.target).get("subject");
    const answer = await act(name, { account: chosenAddress(), subject });
    if (answer === undefined) return;
    say(name === "deliver" ? `Delivered “${subject}”.` : `Saved the draft “${subject}”.`);
  });
}

export function showMessages({ messages, messageCount }) {
  renderKeyed(list, messages, { key: ({ id }) => id, create: createRow, update: updateRow });
  const left = messageCount - messages.length;
  setText(more, messageCount === 0 ? "No messages." : left > 0 ? `and ${left} older ones` : "");
}

/** What can be done with a message: on the button, and to Gmail. */
const ACTS = [
  ["Star", "star"],
  ["Archive", "archive"],
  ["Mark read", "mark-read"],
  ["Label “Work”", "add-labels", { labelIds: ["Work"] }],
  ["Trash", "trash"],
  ["Delete", "delete-message"],
];

function createRow({ id, subject }) {
  const buttons = ACTS.map(([label, name, body = {}]) => {
    const button = element(
      "button",
      { type: "button", "aria-label": `${label}: ${subject}` },
      label,
    );
    button.addEventListener("click", async () => {
      const answer = await act(name, { account: chosenAddress(), messageIds: id, ...body });
      if (answer !== undefined) say(`${label}: “${subject}”.`);
    });
    return button;
  });
  return element(
    "li",
    {},
    element("strong", {}, subject),
    " ",
    element("span", { class: "labels" }),
    element("div", { class: "row" }, ...buttons),
  );
}

function updateRow(row, { labelIds }) {
  setText(row.querySelector(".labels"), labelIds.join(" · "));
}
