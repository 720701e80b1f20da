import { element, setText, toClock } from "./element.js";

const table = document.getElementById("calls");
const total = document.getElementById("calls-total");

/** Calls that follow one another within this time belong together. */
const BURST_GAP_MS = 2_000;
const BURSTS_MAX = 60;
/** A shorter bar could not be seen. */
const BAR_PERCENT_MIN = 1;

/** The burst that may still grow: its calls and its rows. */
let burst;
let count = 0;

/** Adds a call to the waterfall. */
export function showCall(call) {
  count += 1;
  setText(total, `${count} in all. While a person's access has ended, none is made for them.`);
  const startedAt = new Date(call.at).getTime();
  const shown = { ...call, startedAt, endedAt: startedAt + call.durationMs };
  if (burst === undefined || startedAt - burst.calls.at(-1).startedAt > BURST_GAP_MS) {
    burst = { calls: [], body: element("tbody") };
    table.tHead.after(burst.body);
    if (table.tBodies.length > BURSTS_MAX) table.tBodies[BURSTS_MAX].remove();
  }
  burst.calls.push(shown);
  render(burst);
}

function render({ calls, body }) {
  const from = Math.min(...calls.map(({ startedAt }) => startedAt));
  const to = Math.max(...calls.map(({ endedAt }) => endedAt));
  const span = Math.max(to - from, 1);
  const times = calls.length === 1 ? "1 call" : `${calls.length} calls`;
  const heading = element(
    "th",
    { colspan: "4", scope: "rowgroup" },
    element("time", { datetime: calls[0].at }, toClock(calls[0].at)),
    ` ${times} in ${to - from} ms`,
  );
  const rows = calls.map((call) => rowOf(call, from, span));
  body.replaceChildren(element("tr", {}, heading), ...rows);
}

function rowOf({ account, method, status, durationMs, startedAt }, from, span) {
  const bar = element("span", { class: "bar" });
  const width = Math.max((durationMs / span) * 100, BAR_PERCENT_MIN);
  const left = Math.min(((startedAt - from) / span) * 100, 100 - width);
  bar.style.setProperty("margin-left", `${left}%`);
  bar.style.setProperty("width", `${width}%`);
  const isRefused = status < 200 || status >= 300;
  return element(
    "tr",
    {},
    element("td", { title: account }, method),
    element(
      "td",
      { class: isRefused ? "warning" : "good" },
      status === 0 ? "dropped" : String(status),
    ),
    element("td", {}, `${durationMs} ms`),
    element("td", { class: "wide" }, bar),
  );
}
