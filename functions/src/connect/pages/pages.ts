import type { User } from "../../domain/user.ts";
import { type Html, html } from "../../platform/html.ts";
import { googleButton, googleLink } from "./google-button.ts";
import { type PageFrame, page } from "./page.ts";
import { type PageError, type Texts, adviceOn } from "../../texts/texts.ts";

/** The start page for a person who is not signed in: what connecting means, and a link to start. */
export function landingPage(frame: PageFrame): Response {
  const { title, body, control, button } = frame.texts.landing;
  const content = html`<p>${body(frame.app.name)}</p>
    <p>${control}</p>
    <p>${googleLink(`${frame.publicUrl}/start`, button)}</p>`;
  return page({ status: 200, title, body: content }, frame);
}

/**
 * Names the application that will learn which account was connected, before the person goes to
 * Google. Nothing happens until the person presses the button, which posts `query` to `/start`.
 */
export function handoverPage(origin: string, query: string, frame: PageFrame): Response {
  const { title, application, body, next, stop, button } = frame.texts.handover;
  const content = html`<p>${body(frame.app.name)}</p>
    ${factList([{ name: application, value: html`${origin}` }])}
    <p>${next}</p>
    <p>${stop}</p>
    <form method="post" action="${frame.publicUrl}/start${query}">${googleButton(button)}</form>`;
  return page({ status: 200, title, body: content, formTargets: [frame.googleOrigin] }, frame);
}

/** How complete the stream of a connected account is. */
export interface Progress {
  /** How many missed changes a re-authorization has just delivered. */
  recoveredChanges?: number;
  /** When the mailbox was last read to its end. */
  syncedAt?: Date;
  isCaughtUp: boolean;
  /** Whether `mailbox.delayed` has been published and `mailbox.caught_up` has not. */
  isLate?: boolean;
  isWatched: boolean;
}

/** The page of a connected account for its signed-in owner. `csrf` proves that a form is ours. */
export function connectedPage(
  { emailAddress }: User,
  csrf: string,
  { recoveredChanges, syncedAt, isCaughtUp, isLate = false, isWatched }: Progress,
  frame: PageFrame,
): Response {
  const texts = frame.texts.connected;
  const facts = [
    { name: texts.account, value: html`${emailAddress}` },
    ...(syncedAt === undefined
      ? []
      : [{ name: texts.syncedAt, value: time(syncedAt, frame.texts) }]),
  ];
  // Zero means "nothing was missed" only after the history has been read to its end.
  const isRecoveryShown = recoveredChanges !== undefined && (recoveredChanges > 0 || isCaughtUp);
  const news = [
    ...(isRecoveryShown ? [texts.recovered(recoveredChanges)] : []),
    ...(isLate ? [texts.late] : isCaughtUp ? [] : [texts.more]),
    ...(isWatched ? [] : [texts.unwatched]),
    texts.close,
  ];
  const body = html`${factList(facts)} ${news.map((text) => html`<p>${text}</p>`)}
  ${disconnectForm(csrf, frame)}`;
  return page({ status: 200, title: texts.title, body }, frame);
}

function factList(facts: readonly { name: string; value: Html }[]): Html {
  const rows = facts.map(
    ({ name, value }) =>
      html`<dt>${name}</dt>
        <dd>${value}</dd>`,
  );
  return html`<dl>${rows}</dl>`;
}

function time(date: Date, { dateTime }: Texts): Html {
  return html`<time datetime="${date.toISOString()}">${dateTime(date)}</time>`;
}

function disconnectForm(csrf: string, frame: PageFrame): Html {
  const { publicUrl, app, disconnectRevokes, texts } = frame;
  const { disconnectMeans, disconnectLeaves, disconnect } = texts.connected;
  const meaning = disconnectRevokes ? disconnectMeans : disconnectLeaves;
  return html`<form method="post" action="${publicUrl}/disconnect">
      <input type="hidden" name="csrf" value="${csrf}" />
      <p>${meaning(app.name)}</p>
      <button class="quiet">${disconnect}</button>
    </form>
    ${eraseLink(frame)}`;
}

function eraseLink({ publicUrl, texts }: PageFrame): Html {
  return html`<p><a href="${publicUrl}/erase">${texts.erase.link}</a></p>`;
}

/** Asks a signed-in person to confirm the erasure of their data, which cannot be undone. */
export function erasePage({ emailAddress }: User, csrf: string, frame: PageFrame): Response {
  const { title, account, body, bodyLeft, rest, button, keep } = frame.texts.erase;
  const meaning = frame.disconnectRevokes ? body : bodyLeft;
  const content = html`${factList([{ name: account, value: html`${emailAddress}` }])}
    <p>${meaning(frame.app.name)}</p>
    <p>${rest}</p>
    <form method="post" action="${frame.publicUrl}/erase">
      <input type="hidden" name="csrf" value="${csrf}" />
      <button>${button}</button>
    </form>
    <p><a href="${frame.publicUrl}/">${keep}</a></p>`;
  return page({ status: 200, title, body: content }, frame);
}

/**
 * Confirms an erasure. While `isDone` is false, the revocation at Google or the publication of
 * `mailbox.disconnected` is still pending, and the rest is erased after it.
 */
export function erasedPage(isDone: boolean, frame: PageFrame): Response {
  const { done, underWay } = frame.texts.erase;
  const { title } = isDone ? done : underWay;
  const doneBody = frame.disconnectRevokes ? done.body : done.left;
  const content = html`<p>${isDone ? doneBody : underWay.body}</p>
    <p><a class="button" href="${frame.publicUrl}/">${frame.texts.home}</a></p>`;
  return page({ status: 200, title, body: content }, frame);
}

/** Options of {@link reauthorizePage}. */
export interface ReauthorizeOptions {
  /** Present when the person is signed in: they see the full email address and can disconnect. */
  csrf?: string;
  /** Why the last attempt failed. */
  refused?: PageError | undefined;
  /** Whether the grant ended as those of an OAuth app in testing mode do: after a week. */
  isWeekly: boolean;
}

/**
 * The page of a re-authorization link, and the start page for a signed-in person whose grant has
 * ended. Mail scanners follow links, so nothing happens until the person presses the button.
 */
export function reauthorizePage(
  { emailAddress, status, statusReason }: User,
  link: string,
  { csrf, refused, isWeekly }: ReauthorizeOptions,
  frame: PageFrame,
): Response {
  const { unavailable, reauthorize } = frame.texts;
  const { account, weekly, button } = reauthorize;
  const { title, body } = status === "mailbox_unavailable" ? unavailable : reauthorize;
  // Everyone who has the link sees this page, including a person who found it in a log.
  const address = csrf === undefined ? masked(emailAddress) : emailAddress;
  const whatToDo = adviceOn(statusReason, frame.texts) ?? (isWeekly ? weekly : undefined);
  const content = html`${refused === undefined ? undefined : notice(refused, frame.texts)}
    ${factList([{ name: account, value: html`${address}` }])}
    <p>${body}</p>
    ${whatToDo === undefined ? undefined : html`<p>${whatToDo}</p>`}
    <form method="post" action="${frame.publicUrl}/reauthorize/${link}">
      ${googleButton(button)}
    </form>
    ${csrf === undefined ? undefined : disconnectForm(csrf, frame)}`;
  return page(
    {
      status: refused === undefined ? 200 : statusOf(refused),
      title,
      body: content,
      formTargets: [frame.googleOrigin],
    },
    frame,
  );
}

/** Shortens an email address so that only its owner recognizes it: `a***@example.com`. */
function masked(address: User["emailAddress"]): string {
  return `${address.slice(0, 1)}***${address.slice(address.lastIndexOf("@"))}`;
}

function notice(error: PageError, { errors }: Texts): Html {
  const { title, body } = errors[error];
  return html`<p class="notice" role="alert"><strong>${title}.</strong> ${body}</p>`;
}

/** Shows a signed-in person that the operator has paused their mailbox. They can disconnect. */
export function pausedPage({ emailAddress }: User, csrf: string, frame: PageFrame): Response {
  const { title, account, body, rest } = frame.texts.paused;
  const content = html`${factList([{ name: account, value: html`${emailAddress}` }])}
    <p>${body(frame.app.name)}</p>
    <p>${rest}</p>
    ${disconnectForm(csrf, frame)}`;
  return page({ status: 200, title, body: content }, frame);
}

/** Confirms a disconnect. A person who `isSignedIn` can go on to erase their data. */
export function disconnectedPage(frame: PageFrame, isSignedIn = false): Response {
  const { title, body, left, again } = frame.texts.disconnected;
  const content = html`<p>${frame.disconnectRevokes ? body : left}</p>
    <p><a class="button" href="${frame.publicUrl}/start">${again}</a></p>
    ${isSignedIn ? eraseLink(frame) : undefined}`;
  return page({ status: 200, title, body: content }, frame);
}

const STATUS: Partial<Record<PageError, number>> = {
  busy: 429,
  not_found: 404,
  forbidden: 403,
  domain_refused: 403,
  ticket_refused: 403,
  administrator_decides: 403,
  google_refused: 403,
  wrong_account: 403,
  already_done: 409,
  link_expired: 410,
  try_later: 503,
};

function statusOf(error: PageError): number {
  return STATUS[error] ?? 400;
}

/**
 * Explains an error to a person. The page's button leads to `retry`, or to the start page if there
 * is nothing to retry.
 */
export function errorPage(
  error: PageError,
  frame: PageFrame,
  retry?: string,
  retryText: string = frame.texts.again,
): Response {
  const { title, body } = frame.texts.errors[error];
  const [to, text] =
    retry === undefined ? [`${frame.publicUrl}/`, frame.texts.home] : [retry, retryText];
  const content = html`<p>${body}</p>
    <p><a class="button" href="${to}">${text}</a></p>`;
  return page({ status: statusOf(error), title, body: content }, frame);
}
