import type { User } from "../user.ts";
import { type Html, html } from "./html.ts";
import { type PageLinks, page } from "./page.ts";
import { type PageError, TEXTS } from "./texts.ts";

/** What a stranger sees. */
export function landingPage(links: PageLinks): Response {
  const { title, body, control, connect } = TEXTS.landing;
  const content = html`<p>${body(links.app.name)}</p>
    <p>${control}</p>
    <p><a class="button" href="${links.publicUrl}/start">${connect}</a></p>`;
  return page({ status: 200, title, body: content }, links);
}

/**
 * Names the application that is told which account was connected, before Google is asked. Nothing
 * happens before the button is pressed. `query` is what `/start` was asked for.
 */
export function handoverPage(origin: string, query: string, links: PageLinks): Response {
  const { title, application, body, told, stop, button } = TEXTS.handover;
  const content = html`<p>${body(links.app.name)}</p>
    ${factList([{ name: application, value: html`${origin}` }])}
    <p>${told}</p>
    <p>${stop}</p>
    <form method="post" action="${links.publicUrl}/start${query}">
      <button>${button}</button>
    </form>`;
  return page({ status: 200, title, body: content, formTargets: [links.googleOrigin] }, links);
}

/** How complete the stream of a connected account is. */
export interface Progress {
  /** How many changes a re-authorization has just made good. */
  recoveredChanges?: number;
  /** When the mailbox was last read to its end. */
  syncedAt?: Date;
  isCaughtUp: boolean;
  /** Whether subscribers were told that the mailbox is late. */
  isLate?: boolean;
  isWatched: boolean;
}

/** What a signed-in person sees of a connected account. `csrf` is the proof that the form is ours. */
export function connectedPage(
  { emailAddress }: User,
  csrf: string,
  { recoveredChanges, syncedAt, isCaughtUp, isLate = false, isWatched }: Progress,
  links: PageLinks,
): Response {
  const texts = TEXTS.connected;
  const facts = [
    { name: texts.account, value: html`${emailAddress}` },
    ...(syncedAt === undefined ? [] : [{ name: texts.syncedAt, value: time(syncedAt) }]),
  ];
  // Before the end has been read, nothing found is not nothing there.
  const isRecoveryTold = recoveredChanges !== undefined && (recoveredChanges > 0 || isCaughtUp);
  const news = [
    ...(isRecoveryTold ? [texts.recovered(recoveredChanges)] : []),
    ...(isLate ? [texts.late] : isCaughtUp ? [] : [texts.more]),
    ...(isWatched ? [] : [texts.unwatched]),
    texts.close,
  ];
  const body = html`${factList(facts)} ${news.map((text) => html`<p>${text}</p>`)}
  ${disconnectForm(csrf, links)}`;
  return page({ status: 200, title: texts.title, body }, links);
}

function factList(facts: readonly { name: string; value: Html }[]): Html {
  const rows = facts.map(
    ({ name, value }) =>
      html`<dt>${name}</dt>
        <dd>${value}</dd>`,
  );
  return html`<dl>${rows}</dl>`;
}

function time(date: Date): Html {
  return html`<time datetime="${date.toISOString()}">${TEXTS.dateTime(date)}</time>`;
}

function disconnectForm(csrf: string, { publicUrl, app, disconnectRevokes }: PageLinks): Html {
  const { disconnectMeans, disconnectLeaves } = TEXTS.connected;
  const meaning = disconnectRevokes ? disconnectMeans : disconnectLeaves;
  return html`<form method="post" action="${publicUrl}/disconnect">
      <input type="hidden" name="csrf" value="${csrf}" />
      <p>${meaning(app.name)}</p>
      <button class="quiet">${TEXTS.connected.disconnect}</button>
    </form>
    ${eraseLink({ publicUrl })}`;
}

function eraseLink({ publicUrl }: Pick<PageLinks, "publicUrl">): Html {
  return html`<p><a href="${publicUrl}/erase">${TEXTS.erase.link}</a></p>`;
}

/** Asks a signed-in person whether they mean it: it cannot be undone. */
export function erasePage({ emailAddress }: User, csrf: string, links: PageLinks): Response {
  const { title, account, body, bodyLeft, rest, button, keep } = TEXTS.erase;
  const meaning = links.disconnectRevokes ? body : bodyLeft;
  const content = html`${factList([{ name: account, value: html`${emailAddress}` }])}
    <p>${meaning(links.app.name)}</p>
    <p>${rest}</p>
    <form method="post" action="${links.publicUrl}/erase">
      <input type="hidden" name="csrf" value="${csrf}" />
      <button>${button}</button>
    </form>
    <p><a href="${links.publicUrl}/">${keep}</a></p>`;
  return page({ status: 200, title, body: content }, links);
}

/** Everything is erased, or will be: what is left waits for Google or for the subscribers. */
export function erasedPage(isDone: boolean, links: PageLinks): Response {
  const { done, underWay } = TEXTS.erase;
  const { title } = isDone ? done : underWay;
  const doneBody = links.disconnectRevokes ? done.body : done.left;
  const content = html`<p>${isDone ? doneBody : underWay.body}</p>
    <p><a class="button" href="${links.publicUrl}/">${TEXTS.home}</a></p>`;
  return page({ status: 200, title, body: content }, links);
}

export interface ReauthorizeOptions {
  /** With it the person is signed in: sees the whole address, and can disconnect instead. */
  csrf?: string;
  /** Why Google's last answer was refused. */
  refused?: PageError | undefined;
  /** The grant ended as those do that Google gives for a week only. */
  isWeekly: boolean;
}

/**
 * Where a link leads, and what a signed-in person sees whose grant has ended. One button for it,
 * because mail scanners follow links: nothing happens before it is pressed.
 */
export function reauthorizePage(
  { emailAddress, status, statusReason }: User,
  link: string,
  { csrf, refused, isWeekly }: ReauthorizeOptions,
  links: PageLinks,
): Response {
  const { account, hints, weekly, button } = TEXTS.reauthorize;
  const { title, body } = status === "mailbox_unavailable" ? TEXTS.unavailable : TEXTS.reauthorize;
  // Anybody who has the link sees this page, also somebody who found it in a log.
  const address = csrf === undefined ? masked(emailAddress) : emailAddress;
  const hint = hints[statusReason] ?? (isWeekly ? weekly : undefined);
  const content = html`${refused === undefined ? undefined : notice(refused)}
    ${factList([{ name: account, value: html`${address}` }])}
    <p>${body}</p>
    ${hint === undefined ? undefined : html`<p>${hint}</p>`}
    <form method="post" action="${links.publicUrl}/reauthorize/${link}">
      <button>${button}</button>
    </form>
    ${csrf === undefined ? undefined : disconnectForm(csrf, links)}`;
  return page(
    {
      status: refused === undefined ? 200 : statusOf(refused),
      title,
      body: content,
      formTargets: [links.googleOrigin],
    },
    links,
  );
}

/** Enough for its owner to recognize: `a***@example.com`. */
function masked(address: User["emailAddress"]): string {
  return `${address.slice(0, 1)}***${address.slice(address.lastIndexOf("@"))}`;
}

function notice(error: PageError): Html {
  const { title, body } = TEXTS.errors[error];
  return html`<p class="notice" role="alert"><strong>${title}.</strong> ${body}</p>`;
}

/** `isSignedIn`: the person can erase what is still kept. */
export function disconnectedPage(links: PageLinks, isSignedIn = false): Response {
  const { title, body, left, again } = TEXTS.disconnected;
  const content = html`<p>${links.disconnectRevokes ? body : left}</p>
    <p><a class="button" href="${links.publicUrl}/start">${again}</a></p>
    ${isSignedIn ? eraseLink(links) : undefined}`;
  return page({ status: 200, title, body: content }, links);
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
 * A refusal that a person can understand. `retry` is where the same can be tried again; without it
 * the page leads to the first one.
 */
export function errorPage(
  error: PageError,
  links: PageLinks,
  retry?: string,
  retryText: string = TEXTS.again,
): Response {
  const { title, body } = TEXTS.errors[error];
  const [to, text] = retry === undefined ? [`${links.publicUrl}/`, TEXTS.home] : [retry, retryText];
  const content = html`<p>${body}</p>
    <p><a class="button" href="${to}">${text}</a></p>`;
  return page({ status: statusOf(error), title, body: content }, links);
}
