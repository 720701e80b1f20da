import { element, toClock } from "./element.js";

const list = document.getElementById("notices");
const none = document.getElementById("no-notices");

/** Shows a mail to a person, with its link. */
export function showMail({ at, to, subject, text, link }) {
  const row = element(
    "li",
    {},
    element("strong", {}, subject),
    " ",
    element("time", { datetime: at }, toClock(at)),
    element("p", { class: "hint" }, `to ${to.join(", ")}`),
  );
  if (link !== "") {
    const attributes = { class: "button", href: link, target: "_blank", rel: "noopener" };
    row.append(element("p", {}, element("a", attributes, "Open the link in this mail")));
  }
  row.append(
    element("details", {}, element("summary", {}, "What it says"), element("pre", {}, text)),
  );
  list.prepend(row);
  none.hidden = true;
}
