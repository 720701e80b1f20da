/** Panes of which one is shown at a time, until there is space for both. */
const SIDES = { mailbox: "left", person: "left", stream: "right", inspector: "right" };

export const PANES = Object.keys(SIDES);

const { body } = document;

export function wirePanes() {
  for (const button of document.querySelectorAll("[data-shows]")) {
    button.addEventListener("click", () => goTo(button.dataset.shows));
  }
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => showView(button.dataset.view));
  }
  markShown();
}

/** Shows a pane, and moves the keyboard to it. */
export function goTo(pane) {
  show(pane);
  document.getElementById(`${pane}-heading`).focus();
}

/** Shows a pane, and leaves the keyboard where it is. */
export function show(pane) {
  body.dataset[SIDES[pane]] = pane;
  body.dataset.pane = pane;
  markShown();
}

function markShown() {
  for (const button of document.querySelectorAll("[data-shows]")) {
    const pane = button.dataset.shows;
    if (body.dataset.pane === pane) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    button.classList.toggle("open", body.dataset[SIDES[pane]] === pane);
  }
}

function showView(view) {
  for (const button of document.querySelectorAll("[data-view]")) {
    const isChosen = button.dataset.view === view;
    button.setAttribute("aria-pressed", String(isChosen));
    document.getElementById(`view-${button.dataset.view}`).hidden = !isChosen;
  }
}
