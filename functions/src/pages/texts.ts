/** Every sentence that a person reads on our pages, in one place. */
export const TEXTS = {
  landing: {
    title: "Connect your Gmail account",
    body: "When you connect it, this service is told of changes in your mailbox: new messages, labels and deletions. You can disconnect at any time.",
    connect: "Connect Gmail",
  },
  connected: {
    title: "Your Gmail account is connected",
    account: "Connected account:",
    recovered: (count: number) =>
      count === 1
        ? "One change that was made meanwhile has been delivered."
        : `${count} changes that were made meanwhile have been delivered.`,
    more: "There is more to deliver; it follows within minutes.",
    unwatched: "New changes begin to arrive shortly.",
    disconnect: "Disconnect",
  },
  reauthorize: {
    title: "Allow access to your Gmail account again",
    body: "Google no longer lets us read the changes of this account. Nothing is lost: once you allow it again, what happened meanwhile is delivered.",
    // What Google said more than that access has ended, and what to do about it.
    hints: {
      invalid_rapt:
        "Your organization asks people to sign in again from time to time. You may have to do this again.",
      admin_policy_enforced:
        "An administrator of your organization decides whether this service may have access. If Google refuses below, ask them.",
      insufficient_scope: "Please leave all boxes ticked on Google's page.",
    } as Readonly<Record<string, string>>,
    button: "Continue with Google",
  },
  unavailable: {
    title: "This Gmail account cannot be read at present",
    body: "Google says that mail is not available for this account. An administrator may have switched it off. We look again from time to time, and go on from where we were once it is there. If mail works for you again, you need not wait.",
  },
  disconnected: {
    title: "Your Gmail account is disconnected",
    body: "We no longer receive anything about it, and the access that you gave us has been ended at Google.",
  },
  errors: {
    declined: {
      title: "You did not allow access",
      body: "Nothing has been connected. You can start again whenever you like.",
    },
    scopes_missing: {
      title: "One permission is missing",
      body: "On Google's page a box was left unticked that we need, so nothing has been connected. Start again and leave it ticked.",
    },
    wrong_account: {
      title: "That was another Google account",
      body: "The link is for one account, and a different one was chosen. Nothing has been changed. Open the link again and choose the account that it was sent to.",
    },
    link_expired: {
      title: "This link has been used or has expired",
      body: "If your account still needs your permission, open the newest link that you were sent, or connect it again.",
    },
    session_lost: {
      title: "This page has expired",
      body: "It was open for too long, has been used already, or belongs to another browser. Please start again.",
    },
    identity_refused: {
      title: "We could not verify the account",
      body: "What Google sent back could not be verified, so nothing has been connected. Please start again.",
    },
    address_unverified: {
      title: "The address is not confirmed",
      body: "Google has not confirmed the address of this account, so it cannot be connected.",
    },
    mailbox_unavailable: {
      title: "This account has no Gmail mailbox",
      body: "Google says that mail is not available for this account, so nothing has been connected. An administrator may have to switch it on.",
    },
    try_later: {
      title: "This did not work just now",
      body: "It is not your fault, and nothing of yours is lost. Please try again in some minutes.",
    },
    return_refused: {
      title: "This link leads somewhere that we do not know",
      body: "The page that sent you here is not known to us. Please tell its makers.",
    },
    not_found: { title: "There is nothing here", body: "The address may be mistyped." },
    forbidden: {
      title: "This was not asked for from our own page",
      body: "Nothing has been changed. Please go to our page and try there.",
    },
    restart: "Start again",
  },
} as const;

export type PageError = Exclude<keyof typeof TEXTS.errors, "restart">;
