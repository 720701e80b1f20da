const DATE_TIME = { dateStyle: "long", timeStyle: "short", timeZone: "UTC" } as const;

/**
 * Every sentence that a person reads on our pages, in one place to be translated. None of them
 * claims to know why access ended: Google does not say. Where it said more, they tell what to do.
 */
export const TEXTS = {
  /** BCP 47. */
  language: "en",
  dateTime: (date: Date) => `${date.toLocaleString("en-GB", DATE_TIME)} UTC`,
  support: "Questions? Write to",
  landing: {
    title: "Connect your Gmail account",
    body: (app: string) =>
      `Once it is connected, ${app} is told of changes in your mailbox: new messages, labels and deletions.`,
    control:
      "Google shows you what you allow before you allow it. You can disconnect at any time, on this page or in your Google Account.",
    connect: "Connect Gmail",
  },
  handover: {
    title: "Connect your Gmail account to an application",
    body: (app: string) =>
      `The application below asks you to connect a Gmail account. ${app} will then be notified of changes in your mailbox.`,
    application: "Application",
    told: "Google asks you to choose an account and to allow access. After that we tell this application the address of the account you chose.",
    stop: "If you don't know this application, or didn't start this there yourself, close this page. Nothing has been connected.",
    button: "Continue with Google",
  },
  connected: {
    title: "Your Gmail account is connected",
    account: "Account",
    syncedAt: "Complete up to",
    recovered(count: number): string {
      if (count === 0) return "Nothing was changed in the meantime.";
      return count === 1
        ? "One change that was made meanwhile has been delivered."
        : `${count} changes that were made meanwhile have been delivered.`;
    },
    more: "There is more to deliver; it follows within minutes.",
    late: "Changes are late: for a while now, we haven't been able to read or deliver them. We keep trying, and will deliver what you missed. You don't need to do anything.",
    unwatched: "New changes begin to arrive shortly.",
    close: "You can close this page.",
    disconnect: "Disconnect",
    disconnectMeans: (app: string) =>
      `When you disconnect, ${app} is told of no more changes, and its access is ended at Google.`,
    disconnectLeaves: (app: string) =>
      `When you disconnect, ${app} receives no more changes, and we delete our keys to your account. The permission stays in your Google Account until you remove it at myaccount.google.com/permissions.`,
  },
  reauthorize: {
    title: "Allow access to your Gmail account again",
    account: "Account",
    body: "Google no longer lets us read the changes of this account. Once you allow it again, we go on from where we stopped, and what happened meanwhile is delivered.",
    // What Google said more than that access has ended, and what to do about it.
    hints: {
      invalid_rapt:
        "Your organization asks people to sign in again from time to time. You may have to do this again; an administrator of your organization can change how often.",
      admin_policy_enforced:
        "An administrator of your organization decides whether this service may have access. If Google refuses it, ask them to allow it.",
      insufficient_scope: "Please leave all boxes ticked on Google's page.",
    } as Readonly<Record<string, string>>,
    weekly: "If this comes back every week, please tell the people who run this service.",
    button: "Continue with Google",
  },
  unavailable: {
    title: "This Gmail account cannot be read at present",
    body: "Google says that mail is not available for this account. We look again from time to time, and go on from where we stopped once it is there. If you expect mail to work, an administrator of your organization can look into it. If it works for you again, you need not wait.",
  },
  disconnected: {
    title: "Your Gmail account is disconnected",
    body: "We no longer receive anything about it, and the access that you gave us ends at Google, too.",
    left: "We no longer receive anything about it, and have deleted our keys to it. Your Google Account still lists the permission that you gave: you can remove it at myaccount.google.com/permissions.",
    again: "Connect again",
  },
  erase: {
    link: "Erase what is kept about me",
    title: "Erase what is kept about you?",
    account: "Account",
    body: (app: string) =>
      `This disconnects your Gmail account from ${app}, ends its access at Google, and erases your email address and everything else that we keep about your mailbox. You can't undo it.`,
    bodyLeft: (app: string) =>
      `This disconnects your Gmail account from ${app}, and erases our keys to it, your email address and everything else that we keep about your mailbox. You can't undo it. The permission stays in your Google Account until you remove it at myaccount.google.com/permissions.`,
    rest: "We can't erase what was already delivered. The services that received it are told that you want to be erased.",
    button: "Erase everything",
    keep: "Keep it",
    done: {
      title: "Everything is erased",
      body: "We no longer keep anything about your mailbox, and our access has ended at Google.",
      left: "We no longer keep anything about your mailbox. Your Google Account still lists the permission that you gave: you can remove it at myaccount.google.com/permissions.",
    },
    underWay: {
      title: "We are erasing what is kept about you",
      body: "Your Gmail account is disconnected. The rest follows by itself, within a day at most: you don't need to do anything.",
    },
  },
  again: "Try again",
  back: "Go back to the application",
  home: "Go to the first page",
  errors: {
    declined: {
      title: "You did not allow access",
      body: "Nothing has been connected. You can try again whenever you like.",
    },
    domain_refused: {
      title: "This account can't be connected here",
      body: "Only accounts of certain organizations can be connected here, and this account isn't one of them. Nothing has been connected. Please choose the Google account of your organization.",
    },
    administrator_decides: {
      title: "Your administrator decides about this app",
      body: "Google says that your organization doesn't allow this app to use your Gmail account, so nothing has been connected. Ask an administrator of your organization to allow it, or choose another account.",
    },
    google_refused: {
      title: "Google didn't allow this",
      body: "Google rejected the request, so nothing has been connected. If you opened this page inside another app, open it in your browser instead. If that doesn't help, please let the app that sent you here know.",
    },
    scopes_missing: {
      title: "One permission is missing",
      body: "On Google's page a box was left unticked that we need, so nothing has been connected. Try again and leave all boxes ticked.",
    },
    wrong_account: {
      title: "That was another Google account",
      body: "Nothing has been changed. On Google's page, please choose the account that this link is for.",
    },
    link_expired: {
      title: "This link has been used or has expired",
      body: "If your account still needs your permission, open the newest link that you were sent, or connect it again.",
    },
    session_lost: {
      title: "This page has expired",
      body: "It was open for too long, has been used already, or belongs to another browser. It also needs cookies. Please try again.",
    },
    already_done: {
      title: "This step is already done",
      body: "It was not done a second time. The first page shows how things stand.",
    },
    identity_refused: {
      title: "We could not verify the account",
      body: "What Google sent back could not be verified, so nothing has been connected. Please try again.",
    },
    address_unverified: {
      title: "The address is not confirmed",
      body: "Google has not confirmed the address of this account, so it cannot be connected. Confirm it in your Google Account, then try again.",
    },
    mailbox_unavailable: {
      title: "This account has no Gmail mailbox",
      body: "Google says that mail is not available for this account, so nothing has been connected. An administrator may have to switch it on.",
    },
    try_later: {
      title: "This did not work just now",
      body: "It is not your fault, and nothing of yours is lost. Please try again in some minutes.",
    },
    busy: {
      title: "Too many requests",
      body: "We have had too many requests from your network. Please wait a minute, then try again.",
    },
    return_refused: {
      title: "This link leads somewhere that we do not know",
      body: "The page that sent you here is not known to us. Please tell its makers.",
    },
    ticket_refused: {
      title: "This link can't be used to connect an account",
      body: "Links like this work once and for ten minutes. Please go back to the application that sent you here, and start again there.",
    },
    not_found: { title: "There is nothing here", body: "The address may be mistyped." },
    forbidden: {
      title: "This was not asked for from our own page",
      body: "Nothing has been changed. Please go to our page and try there.",
    },
  },
} as const;

export type PageError = keyof typeof TEXTS.errors;

/** One of the errors that have a page; `undefined` for any other text. */
export function parsePageError(text: string): PageError | undefined {
  return Object.hasOwn(TEXTS.errors, text) ? (text as PageError) : undefined;
}
