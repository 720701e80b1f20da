import { DATE_TIME } from "./date-time.ts";

/**
 * Every sentence that a person reads on the pages and in the mails, in English. The other languages
 * have the same keys. No sentence claims to know why access ended, because Google does not say. If
 * Google gives a reason, `reauthorize.advice` says what the person can do.
 */
export const EN = {
  /** BCP 47. */
  language: "en",
  dateTime: (date: Date) => `${date.toLocaleString("en-GB", DATE_TIME)} UTC`,
  support: "Questions? Write to",
  landing: {
    title: "Connect your Gmail account",
    body: (app: string) =>
      `Once you connect it, ${app} will be notified of changes in your mailbox: new messages, label changes and deletions.`,
    control:
      "Google shows you exactly what you're allowing before you allow it. You can disconnect at any time, on this page or in your Google Account.",
    button: "Continue with Google",
  },
  handover: {
    title: "Connect your Gmail account to an application",
    body: (app: string) =>
      `The application below is asking you to connect a Gmail account. ${app} will then be notified of changes in your mailbox.`,
    application: "Application",
    next: "Google will ask you to choose an account and allow access. We'll then give this application the email address of the account you chose.",
    stop: "If you don't know this application, or didn't start this there yourself, close this page. Nothing has been connected.",
    button: "Continue with Google",
  },
  connected: {
    title: "Your Gmail account is connected",
    account: "Account",
    syncedAt: "Up to date as of",
    recovered(count: number): string {
      if (count === 0) return "You didn't miss any changes.";
      return count === 1
        ? "We delivered the one change you missed."
        : `We delivered the ${count.toLocaleString("en-GB")} changes you missed.`;
    },
    more: "There are more changes to deliver. They'll follow within minutes.",
    late: "Changes are running late: we haven't been able to read or deliver them for a while. We'll keep trying, and will deliver what you missed. You don't need to do anything.",
    unwatched: "New changes will start to arrive shortly.",
    close: "You can close this page.",
    disconnect: "Disconnect",
    disconnectMeans: (app: string) =>
      `If you disconnect, ${app} stops receiving changes and its access to your Google Account is revoked.`,
    disconnectLeaves: (app: string) =>
      `If you disconnect, ${app} stops receiving changes and we delete our keys to your account. Your Google Account keeps listing the permission until you remove it at myaccount.google.com/permissions.`,
  },
  reauthorize: {
    title: "Allow access to your Gmail account again",
    account: "Account",
    body: "Google no longer lets us read changes in this account. Once you allow access again, we'll pick up where we left off and deliver what you missed.",
    // By Google's reason. Most grants end without one.
    advice: {
      invalid_rapt:
        "Your organization asks people to sign in again from time to time, so you may have to do this again. An administrator of your organization can change how often.",
      admin_policy_enforced:
        "An administrator of your organization decides whether this service can have access. If Google doesn't let you continue, ask them to allow it.",
      insufficient_scope: "Please leave all boxes ticked on Google's page.",
    },
    weekly: "If you see this every week, please let the people who run this service know.",
    button: "Continue with Google",
  },
  unavailable: {
    title: "We can't read this Gmail account right now",
    body: "Google says that Gmail isn't available for this account. We'll check again from time to time, and pick up where we left off once it is. If Gmail should be available, ask an administrator of your organization. If it already works for you again, you don't have to wait: continue below.",
  },
  paused: {
    title: "Your Gmail account is paused",
    account: "Account",
    body: (app: string) =>
      `The people who run this service have paused your account, so ${app} isn't receiving any changes in your mailbox for now.`,
    rest: "You don't need to do anything. Once they resume it, we'll pick up where we left off and deliver what you missed.",
  },
  disconnected: {
    title: "Your Gmail account is disconnected",
    body: "We no longer receive anything about your account, and our access to it is revoked.",
    left: "We no longer receive anything about your account, and have deleted our keys to it. Your Google Account still lists the permission you gave. You can remove it at myaccount.google.com/permissions.",
    again: "Connect again",
  },
  erase: {
    link: "Erase my data",
    title: "Erase your data?",
    account: "Account",
    body: (app: string) =>
      `This disconnects your Gmail account from ${app}, revokes its access, and erases your email address and everything else we store about your mailbox. You can't undo this.`,
    bodyLeft: (app: string) =>
      `This disconnects your Gmail account from ${app}, and erases our keys to it, your email address and everything else we store about your mailbox. You can't undo this. Your Google Account keeps listing the permission until you remove it at myaccount.google.com/permissions.`,
    rest: "We can't erase changes that we have already delivered. We'll let the services that received them know that you want your data erased.",
    button: "Erase everything",
    keep: "Keep my data",
    done: {
      title: "Your data is erased",
      body: "We no longer store anything about your mailbox, and our access to it is revoked.",
      left: "We no longer store anything about your mailbox. Your Google Account still lists the permission you gave. You can remove it at myaccount.google.com/permissions.",
    },
    underWay: {
      title: "Erasing your data",
      body: "Your Gmail account is disconnected. We'll erase the rest within a day. You don't need to do anything.",
    },
  },
  again: "Try again",
  back: "Go back to the application",
  home: "Go to the start page",
  errors: {
    declined: {
      title: "You didn't allow access",
      body: "Nothing has been connected. You can try again whenever you like.",
    },
    domain_refused: {
      title: "You can't connect this account here",
      body: "Only accounts of certain organizations can be connected here, and this account isn't one of them. Nothing has been connected. Please choose your organization's Google account.",
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
      body: "We need a permission that was left unticked on Google's page, so nothing has been connected. Please try again and leave all boxes ticked.",
    },
    wrong_account: {
      title: "That was a different Google account",
      body: "Nothing has changed. On Google's page, please choose the account that this link is for.",
    },
    link_expired: {
      title: "This link has been used or has expired",
      body: "If your account still needs your permission, open the newest link we sent you, or connect your account again.",
    },
    session_lost: {
      title: "This page has expired",
      body: "You may have left it open for too long, used it already, or opened it in another browser. It also needs cookies. Please try again.",
    },
    already_done: {
      title: "You've already done this step",
      body: "We didn't do it a second time. The start page shows how your account is doing.",
    },
    identity_refused: {
      title: "We couldn't verify your account",
      body: "We couldn't verify Google's response, so nothing has been connected. Please try again.",
    },
    address_unverified: {
      title: "Your email address isn't verified",
      body: "Google hasn't verified the email address of this account, so we can't connect it. Verify it in your Google Account, then try again.",
    },
    mailbox_unavailable: {
      title: "This account has no Gmail mailbox",
      body: "Google says that Gmail isn't available for this account, so nothing has been connected. An administrator of your organization may have to turn it on.",
    },
    try_later: {
      title: "Something went wrong",
      body: "It's not your fault, and you haven't lost anything. Please try again in a few minutes.",
    },
    busy: {
      title: "Too many requests",
      body: "We've had too many requests from your network. Please wait a minute, then try again.",
    },
    return_refused: {
      title: "We don't know where this link leads",
      body: "It would send you on to a page that we don't know, so we stopped here. Please let the app that sent you here know.",
    },
    ticket_refused: {
      title: "You can't use this link to connect an account",
      body: "Links like this one work once, and only for ten minutes. Please go back to the application that sent you here and start again there.",
    },
    not_found: {
      title: "We can't find this page",
      body: "Please check the URL for typing errors.",
    },
    forbidden: {
      title: "This request didn't come from our page",
      body: "Nothing has changed. Please go to our start page and try again there.",
    },
  },
  /** The mails that ask a person to allow access again. */
  notice: {
    subject: {
      first: (app: string) => `${app}: allow access to your Gmail account again`,
      reminder: (app: string) => `Reminder from ${app}: allow access to your Gmail account again`,
      last: (app: string) => `Last reminder from ${app}: allow access to your Gmail account again`,
    },
    body: (app: string, address: string) =>
      `Google no longer lets ${app} read changes in ${address}. Once you allow access again, we'll pick up where we left off and deliver what you missed.`,
    button: "Allow access again",
    // A link lives as long as `grant/reauthorization-link.ts` says.
    link: (host: string) =>
      `The link takes you to ${host}, and from there to Google, where you decide. It works once, for this account only, and expires in seven days. Only Google will ask for your password.`,
    orNothing: (app: string) =>
      `If you no longer want ${app} to have access, you don't need to do anything.`,
    more: "If it's still needed, we'll remind you in three days and once more in a week. Then we'll stop.",
    last: "This is the last email we'll send you about this.",
    questions: "Questions?",
  },
};
