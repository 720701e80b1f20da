import { TEXTS } from "../pages/texts.ts";

/**
 * Every sentence of a mail to a person, in one place. None says why access has ended: we do not
 * know. What to do about it, where Google said more, is told as on the pages.
 */
export const NOTICE_TEXTS = {
  subject: {
    first: (app: string) => `${app}: allow access to your Gmail account again`,
    reminder: (app: string) => `Reminder from ${app}: allow access to your Gmail account again`,
    last: (app: string) => `Last reminder from ${app}: allow access to your Gmail account again`,
  },
  title: TEXTS.reauthorize.title,
  body: (app: string, address: string) =>
    `Google no longer lets ${app} read the changes of ${address}. Nothing is lost: once you allow it again, what happened meanwhile is delivered.`,
  hints: TEXTS.reauthorize.hints,
  button: "Allow access again",
  // How long a link lives: `grant/reauthorization-link.ts`.
  link: (host: string) =>
    `The link leads to ${host}, and from there to Google, where you decide. It works once, for this account only, for seven days. Nobody there asks for a password but Google.`,
  orNothing: (app: string) =>
    `If you no longer want ${app} to have access, you need not do anything.`,
  more: "We remind you after three days and after a week, if it is still needed. Then we stop.",
  last: "This is the last mail about it.",
  questions: "Questions?",
} as const;
