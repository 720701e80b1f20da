import type { User } from "../user.ts";
import { type Html, html } from "./html.ts";
import { page } from "./page.ts";
import { type PageError, TEXTS } from "./texts.ts";

/** Where the pages' links and forms lead. */
export interface PageLinks {
  /** `PUBLIC_URL`: every address on our pages begins with it. */
  publicUrl: string;
  /** The origin of Google's consent page, to which our forms redirect. */
  googleOrigin: string;
}

export function landingPage({ publicUrl }: PageLinks): Response {
  const { title, body, connect } = TEXTS.landing;
  return page(
    200,
    title,
    html`<p>${body}</p>
      <p><a class="button" href="${publicUrl}/start">${connect}</a></p>`,
  );
}

export interface ConnectedNews {
  recoveredChanges?: number;
  isCaughtUp: boolean;
  isWatched: boolean;
}

/** What a signed-in person sees of a connected account. `csrf` is the proof that the form is ours. */
export function connectedPage(
  user: User,
  csrf: string,
  { publicUrl }: PageLinks,
  { recoveredChanges, isCaughtUp, isWatched }: ConnectedNews,
): Response {
  const { title, account, recovered, more, unwatched } = TEXTS.connected;
  return page(
    200,
    title,
    html`<p>${account} <strong>${user.emailAddress}</strong></p>
      ${recoveredChanges === undefined ? undefined : html`<p>${recovered(recoveredChanges)}</p>`}
      ${isCaughtUp ? undefined : html`<p>${more}</p>`}
      ${isWatched ? undefined : html`<p>${unwatched}</p>`} ${disconnectForm(csrf, publicUrl)}`,
  );
}

function disconnectForm(csrf: string, publicUrl: string): Html {
  return html`<form method="post" action="${publicUrl}/disconnect">
    <input type="hidden" name="csrf" value="${csrf}" />
    <button>${TEXTS.connected.disconnect}</button>
  </form>`;
}

/**
 * Where a link leads, and what a signed-in person sees whose grant has ended. One button for it,
 * because mail scanners follow links: nothing happens before it is pressed. With `csrf` the person
 * is signed in, and can disconnect instead.
 */
export function reauthorizePage(
  user: User,
  link: string,
  links: PageLinks,
  csrf?: string,
): Response {
  const { hints, button } = TEXTS.reauthorize;
  const isUnavailable = user.status === "mailbox_unavailable";
  const { title, body } = isUnavailable ? TEXTS.unavailable : TEXTS.reauthorize;
  const hint = hints[user.statusReason];
  return page(
    200,
    title,
    html`<p><strong>${user.emailAddress}</strong></p>
      <p>${body}</p>
      ${hint === undefined ? undefined : html`<p>${hint}</p>`}
      <form method="post" action="${links.publicUrl}/reauthorize/${link}">
        <button>${button}</button>
      </form>
      ${csrf === undefined ? undefined : disconnectForm(csrf, links.publicUrl)}`,
    // The form's answer redirects to Google, which the policy counts as a target of the form.
    [links.googleOrigin],
  );
}

export function disconnectedPage({ publicUrl }: PageLinks): Response {
  const { title, body } = TEXTS.disconnected;
  return page(
    200,
    title,
    html`<p>${body}</p>
      <p><a class="button" href="${publicUrl}/start">${TEXTS.landing.connect}</a></p>`,
  );
}

const STATUS: Partial<Record<PageError, number>> = {
  not_found: 404,
  forbidden: 403,
  wrong_account: 403,
  link_expired: 410,
  try_later: 503,
};

/** A refusal that a person can understand. Never says why access ended: we do not know. */
export function errorPage(error: PageError, { publicUrl }: PageLinks): Response {
  const { title, body } = TEXTS.errors[error];
  return page(
    STATUS[error] ?? 400,
    title,
    html`<p>${body}</p>
      <p><a href="${publicUrl}/">${TEXTS.errors.restart}</a></p>`,
  );
}
