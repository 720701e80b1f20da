import { element, renderKeyed, setText, toReadableJson } from "./element.js";

const path = document.getElementById("stored-path");
const fields = document.getElementById("stored");

/** The user document, one entry for each top-level field; what has just changed is marked. */
export function showStored(user) {
  setText(path, user === undefined ? "Nothing is stored of this account." : `users/${user.id}`);
  renderKeyed(fields, Object.entries(user?.document ?? {}), {
    key: ([name]) => `${user.id} ${name}`,
    create: ([name]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, element("pre"))),
    update(entry, [, value]) {
      const shown = entry.querySelector("pre");
      const text = typeof value === "string" ? value : toReadableJson(value);
      const hasChanged = shown.textContent !== "" && shown.textContent !== text;
      setText(shown, text);
      if (hasChanged) markFresh(entry);
    },
  });
}

/** Restarts the animation of an entry that may be fresh already. */
function markFresh(entry) {
  entry.classList.remove("fresh");
  requestAnimationFrame(() => entry.classList.add("fresh"));
}
