import { element, renderKeyed, setText } from "./element.js";

const rows = document.getElementById("calls");
const total = document.getElementById("calls-total");

export function showCalls(calls) {
  renderKeyed(rows, calls, {
    key: ({ account, method }) => `${account} ${method}`,
    create: ({ account, method }) =>
      element(
        "tr",
        {},
        element("td", {}, account === "" ? "(any)" : account),
        element("td", {}, method),
        element("td"),
        element("td"),
      ),
    update(row, { count, refused }) {
      const [, , calledCell, refusedCell] = row.children;
      setText(calledCell, String(count));
      setText(refusedCell, refused === 0 ? "" : String(refused));
    },
  });
  const sum = calls.reduce((called, { count }) => called + count, 0);
  setText(total, `${sum} in all. For a flagged user this stands still.`);
}
