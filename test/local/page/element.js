/** An element with attributes and children; text children are text, whatever is in them. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/**
 * Makes the children of `parent` show `items`, in order. An item that was there keeps its element,
 * and with it the focus and what is open in it.
 */
export function renderKeyed(parent, items, { key, create, update }) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let previous = null;
  for (const item of items) {
    const itemKey = key(item);
    const child = present.get(itemKey) ?? create(item);
    present.delete(itemKey);
    child.dataset.key = itemKey;
    update(child, item);
    const place = previous === null ? parent.firstElementChild : previous.nextElementSibling;
    if (child !== place) parent.insertBefore(child, place);
    previous = child;
  }
  for (const gone of present.values()) {
    const hadFocus = gone.contains(document.activeElement);
    gone.remove();
    // The keyboard goes on from the list, not from the top of the page.
    if (hadFocus) parent.focus();
  }
}

const LINE_CHARACTERS_MAX = 76;

/** JSON for people: what fits into a line stays on one. */
export function toReadableJson(value, indent = "") {
  const flat = toFlatJson(value);
  if (typeof value !== "object" || value === null) return flat;
  if (flat.length + indent.length <= LINE_CHARACTERS_MAX) return flat;
  const inner = `${indent}  `;
  const lines = Array.isArray(value)
    ? value.map((item) => inner + toReadableJson(item, inner))
    : Object.entries(value).map(
        ([name, item]) => `${inner}${JSON.stringify(name)}: ${toReadableJson(item, inner)}`,
      );
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}

/** JSON in one line, with spaces where it may be broken. */
export function toFlatJson(value) {
  return JSON.stringify(value, null, 1).replaceAll(/\n\s*/g, " ");
}

/** Sets the text only when it differs, so that nothing is selected or announced again for nothing. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** The time of day of an ISO date. */
export function toClock(at) {
  return new Date(at).toLocaleTimeString([], { hourCycle: "h23", timeStyle: "medium" });
}
