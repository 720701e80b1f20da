import { element, setText, toFlatJson } from "./element.js";

const list = document.getElementById("changes");
const none = document.getElementById("no-changes");
const latest = document.getElementById("latest");
const story = document.getElementById("story");

/** What the page is told of later than this has happened before it was opened. */
const FRESH_MS = 5_000;
/** Older ones are on the topic, not on the page. */
const SHOWN_MAX = 200;
let count = 0;

/** One event on the topic: its type, id and data, and the link that it may carry. */
export function showChange({ id, type, time, data }) {
  count += 1;
  const { reauthorizeUrl, ...rest } = data;
  const row = element(
    "li",
    { class: Date.now() - new Date(time).getTime() < FRESH_MS ? "fresh" : "" },
    element("strong", {}, `${count}. ${type}`),
    " ",
    element("time", { datetime: time }, new Date(time).toLocaleTimeString()),
    element("br"),
    element("code", {}, id),
    element("pre", {}, toFlatJson(rest)),
  );
  if (reauthorizeUrl !== undefined) row.append(linkTo(reauthorizeUrl));
  list.prepend(row);
  if (list.children.length > SHOWN_MAX) list.lastElementChild.remove();
  none.hidden = true;
  setText(latest, `${count} ${count === 1 ? "event" : "events"}, the last one ${type}`);
  tick(type, data.generation);
}

function linkTo(url) {
  const link = { class: "button primary", href: url, target: "_blank", rel: "noopener" };
  return element(
    "p",
    {},
    element("a", link, "Open the re-authorization link"),
    " ",
    element("code", { class: "hint" }, `${url.slice(0, 60)}…`),
  );
}

function tick(type, generation) {
  for (const step of story.children) {
    const isReached = [type, `${type}/${generation}`].includes(step.dataset.until);
    if (isReached) step.classList.add("done");
  }
}
