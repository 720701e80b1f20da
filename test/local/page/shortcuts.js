import { closeThread } from "./mailbox.js";
import { openComposer } from "./composer.js";
import { goToStep } from "./guide.js";
import { goTo, PANES, show } from "./panes.js";

const dialog = document.getElementById("shortcuts");
const isOn = document.getElementById("keys-on");

const KEY = "single-key-shortcuts";

const SHORTCUTS = {
  "?": () => dialog.showModal(),
  "/": focusFilter,
  c: () => openComposer(),
  g: goToStep,
  j: () => moveBy(1),
  k: () => moveBy(-1),
  u: closeThread,
  ...Object.fromEntries(PANES.map((pane, index) => [index + 1, () => goTo(pane)])),
};

/** Wires the shortcuts. WCAG 2.1.4 asks that single keys can be turned off. */
export function wireShortcuts() {
  isOn.checked = localStorage.getItem(KEY) !== "off";
  isOn.addEventListener("change", () => {
    localStorage.setItem(KEY, isOn.checked ? "on" : "off");
  });
  document.getElementById("help").addEventListener("click", () => dialog.showModal());
  for (const button of document.querySelectorAll("[data-closes]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  document.addEventListener("keydown", (event) => {
    if (!isOn.checked || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, dialog") !== null) return;
    if (!Object.hasOwn(SHORTCUTS, event.key)) return;
    event.preventDefault();
    SHORTCUTS[event.key]();
  });
}

function focusFilter() {
  show("stream");
  document.getElementById("filter").focus();
}

/** Moves to another item of the pane that has the keyboard, or of the one that was shown last. */
function moveBy(steps) {
  const own = document.activeElement.closest(".pane");
  const pane = own ?? document.getElementById(document.body.dataset.pane);
  const items = [...pane.querySelectorAll("[data-item]")].filter((item) => item.checkVisibility());
  const at = items.findIndex((item) => item.parentElement.contains(document.activeElement));
  const next = at === -1 ? 0 : at + steps;
  items[Math.min(Math.max(next, 0), items.length - 1)]?.focus();
}
