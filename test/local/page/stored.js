import { diffOf } from "./diff.js";
import { element, setText, toClock, toReadableJson } from "./element.js";

const path = document.getElementById("stored-path");
const now = document.getElementById("stored");
const list = document.getElementById("changed");

const WRITES_MAX = 200;

/** The writes by user, oldest first: the document before the first one is empty. */
const writes = new Map();
let shownId;

/** Shows the user document, and every write that led to it. */
export function showStored(id, user) {
  setText(path, user === undefined ? "Nothing is stored of this account." : `users/${user.id}`);
  setText(now, user === undefined ? "" : toReadableJson(user.document));
  if (id === shownId) return;
  shownId = id;
  list.replaceChildren();
  for (const write of writes.get(id) ?? []) list.prepend(createWrite(write));
}

/** Adds a write of a user document. */
export function noteWrite({ at, id, document: after }) {
  const before = writes.get(id) ?? [];
  const write = { at, after, diff: diffOf(before.at(-1)?.after ?? {}, after) };
  writes.set(id, [...before, write].slice(-WRITES_MAX));
  if (id !== shownId) return;
  list.prepend(createWrite(write));
  if (list.children.length > WRITES_MAX) list.lastElementChild.remove();
}

function createWrite({ at, after, diff }) {
  const isErased = Object.keys(after).length === 0;
  const title = isErased ? "erased" : `${diff.length} ${diff.length === 1 ? "field" : "fields"}`;
  return element(
    "li",
    {},
    element("time", { datetime: at }, toClock(at)),
    ` ${title}`,
    ...diff.map(({ path: name, removed, added }) =>
      element(
        "div",
        { class: "field" },
        element("b", { tabindex: "-1", "data-item": "" }, name),
        ...removed.map((value) => element("del", {}, value)),
        ...added.map((value) => element("ins", {}, value)),
      ),
    ),
  );
}
