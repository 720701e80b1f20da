import { element } from "./element.js";

const list = document.getElementById("notices");
const none = document.getElementById("no-notices");

/** A mail to a person, as its text says it, with its link to click. */
export function showMail({ at, to, subject, text, link }) {
  const row = element(
    "li",
    {},
    element("strong", {}, subject),
    " ",
    element("time", { datetime: at }, new Date(at).toLocaleTimeString()),
    element("br"),
    `to ${to.join(", ")}`,
  );
  if (link !== "") {
    const attributes = { class: "button primary", href: link, target: "_blank", rel: "noopener" };
    row.append(element("p", {}, element("a", attributes, "Open the link in this mail")));
  }
  row.append(
    element("details", {}, element("summary", {}, "What it says"), element("pre", {}, text)),
  );
  list.prepend(row);
  none.hidden = true;
}
