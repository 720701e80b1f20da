import { TEXTS } from "./pages.ts";

/**
 * Every sentence of the mails, in one place so that they can be translated. None says why access
 * ended, because Google does not say. If Google gives a reason, `advice` says what to do.
 */
export const NOTICE_TEXTS = {
  subject: {
    first: (app: string) => `${app}: allow access to your Gmail account again`,
    reminder: (app: string) => `Reminder from ${app}: allow access to your Gmail account again`,
    last: (app: string) => `Last reminder from ${app}: allow access to your Gmail account again`,
  },
  title: TEXTS.reauthorize.title,
  body: (app: string, address: string) =>
    `Google no longer lets ${app} read changes in ${address}. Once you allow access again, we'll pick up where we left off and deliver what you missed.`,
  advice: TEXTS.reauthorize.advice,
  button: "Allow access again",
  // A link lives as long as `grant/reauthorization-link.ts` says.
  link: (host: string) =>
    `The link takes you to ${host}, and from there to Google, where you decide. It works once, for this account only, and expires in seven days. Only Google will ask for your password.`,
  orNothing: (app: string) =>
    `If you no longer want ${app} to have access, you don't need to do anything.`,
  more: "If it's still needed, we'll remind you in three days and once more in a week. Then we'll stop.",
  last: "This is the last email we'll send you about this.",
  questions: "Questions?",
} as const;
