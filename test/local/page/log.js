import { element, toClock, toFlatJson } from "./element.js";

const list = document.getElementById("log");
const debug = document.getElementById("debug");

const SHOWN_MAX = 300;
const LOUD = ["WARNING", "ERROR", "CRITICAL"];

export function wireLog() {
  debug.addEventListener("change", () => {
    for (const row of list.children) row.hidden = isHidden(row.dataset.severity);
  });
}

export function showLog({ at, record }) {
  const { severity, event, message, ...fields } = record;
  const row = element(
    "li",
    { "data-severity": severity },
    element("time", { datetime: at }, toClock(at)),
    " ",
    element("strong", { class: LOUD.includes(severity) ? "warning" : "" }, severity),
    ` ${event}: ${message} `,
    element("code", {}, toFlatJson(fields)),
  );
  row.hidden = isHidden(severity);
  list.prepend(row);
  if (list.children.length > SHOWN_MAX) list.lastElementChild.remove();
}

function isHidden(severity) {
  return severity === "DEBUG" && !debug.checked;
}
