import { chosenAccount } from "./account.js";
import { say, resend } from "./acts.js";
import { curlOf } from "./curl.js";
import { element, setText, toClock, toReadableJson } from "./element.js";

const list = document.getElementById("changes");
const none = document.getElementById("no-changes");
const shownCount = document.getElementById("stream-count");
const latest = document.getElementById("latest");
const filter = document.getElementById("filter");
const onlyPerson = document.getElementById("only-person");

/** Older ones are on the topic, not on the page. */
const SHOWN_MAX = 300;
/** What arrives before this time of the page's life happened before it was opened. */
const REPLAYED_MS = 2_000;

/** The events on the page, newest first. */
const events = [];
let total = 0;
let endpoint;
let onOpened = () => {};

/** The subjects of messages by id, also of those that are deleted by now. */
const subjects = new Map();

/** Wires the filter. `whenOpened` is called with an event that is looked at. */
export function wireStream(whenOpened) {
  onOpened = whenOpened;
  filter.addEventListener("input", applyFilter);
  onlyPerson.addEventListener("change", applyFilter);
}

/** Says where events are delivered; nowhere without `npm start -- --push URL`. */
export function showEndpoint(push) {
  endpoint = push;
}

/** Adds an event of the topic. */
export function showEvent(event) {
  total += 1;
  const row = createRow(event);
  events.unshift({ event, row, text: JSON.stringify(event).toLowerCase() });
  list.prepend(row);
  if (events.length > SHOWN_MAX) events.pop().row.remove();
  setText(latest, `${total} ${total === 1 ? "event" : "events"}, the last one ${event.type}`);
  applyFilter();
}

/** Takes over the subjects of messages, and names the events about them. */
export function noteSubjects(messages) {
  const unknown = messages.filter(({ id }) => !subjects.has(id));
  if (unknown.length === 0) return;
  for (const { id, subject } of unknown) subjects.set(id, `“${subject}”`);
  for (const { event, row } of events) setText(row.querySelector(".what"), inWords(event));
}

/** Shows what became of a delivery to the subscriber. */
export function showDelivery({ id, attempt, outcome, isAcknowledged }) {
  const found = events.find(({ event }) => event.attributes["ce-id"] === id);
  if (found === undefined) return;
  const place = found.row.querySelector(".delivery");
  setText(place, isAcknowledged ? `✓ ${outcome}` : `✗ ${outcome} (attempt ${attempt})`);
  place.classList.toggle("warning", !isAcknowledged);
  place.classList.toggle("good", isAcknowledged);
}

/** Opens the last event of a type, and moves the keyboard to it. */
export function openEvent(type) {
  filter.value = "";
  applyFilter();
  const found = events.find(({ event }) => event.type === type);
  if (found === undefined) return;
  const details = found.row.firstElementChild;
  details.open = true;
  details.firstElementChild.focus();
}

/** Hides what does not match. Also called when another person is chosen. */
export function applyFilter() {
  const wanted = filter.value.trim().toLowerCase();
  const { email } = chosenAccount();
  let count = 0;
  for (const { event, row, text } of events) {
    const isOfPerson = !onlyPerson.checked || event.data.emailAddress === email;
    row.hidden = !isOfPerson || !text.includes(wanted);
    if (!row.hidden) count += 1;
  }
  none.hidden = events.length > 0;
  setText(shownCount, count === events.length ? `${count}` : `${count} of ${events.length}`);
}

function createRow(event) {
  const { type, time } = event;
  const summary = element(
    "summary",
    { "data-item": "" },
    element("time", { datetime: time }, toClock(time)),
    element("strong", { class: "type" }, type.replace(/^mailbox\./, "")),
    element("span", { class: "what" }, inWords(event)),
    element("span", { class: "delivery" }),
  );
  const details = element("details", {}, summary);
  details.addEventListener("toggle", () => {
    // The content is made when it is first looked at.
    if (details.open && details.children.length === 1) details.append(contentOf(event));
    if (details.open) onOpened(event);
  });
  const isFresh = performance.now() > REPLAYED_MS;
  const family = type.includes(".message.") || type.includes(".labels.") ? "mail" : "connection";
  return element("li", { class: isFresh ? `fresh ${family}` : family }, details);
}

function inWords({ data }) {
  const { messageId, labelIds, reason, generation, recoveredChanges, emailAddress } = data;
  const parts = [
    messageId === undefined ? emailAddress : subjects.get(messageId),
    labelIds?.join(", "),
    reason,
    generation === undefined ? undefined : `generation ${generation}`,
    recoveredChanges === undefined ? undefined : `${recoveredChanges} recovered`,
  ];
  return parts.filter((part) => part !== undefined).join(" · ") || emailAddress || "";
}

function contentOf({ attributes, data, orderingKey }) {
  const id = attributes["ce-id"];
  const rows = Object.entries({ ...attributes, orderingKey }).map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value)),
  );
  const again = button("Resend", async () => {
    if ((await resend(id)) !== undefined) say(`Delivered ${id} once more.`);
  });
  again.disabled = endpoint === undefined;
  const links =
    data.reauthorizeUrl === undefined
      ? []
      : [
          element(
            "a",
            {
              class: "button",
              href: data.reauthorizeUrl,
              target: "_blank",
              rel: "noopener",
            },
            "Open the re-authorization link",
          ),
        ];
  return element(
    "div",
    { class: "content" },
    element(
      "p",
      { class: "row small" },
      ...links,
      button("Copy as curl", () => copy(curlOf({ attributes, data, orderingKey }, endpoint))),
      button("Copy JSON", () => copy(JSON.stringify(data, null, 2))),
      again,
      ...(again.disabled
        ? [element("span", { class: "hint" }, "Resend needs npm start -- --push URL")]
        : []),
    ),
    element("pre", {}, toReadableJson(data)),
    element("dl", { class: "attributes" }, ...rows),
  );
}

function button(label, onClick) {
  const made = element("button", { type: "button" }, label);
  made.addEventListener("click", onClick);
  return made;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("The browser does not let this page copy: its permissions say why.");
  }
}
