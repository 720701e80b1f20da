import type { GrantContext } from "../grant/context.ts";

/** What sending mail to people uses. */
export interface NoticeContext extends GrantContext {
  mailServer: MailServerTrouble;
}

/** What this instance has logged about the mail server, so that it logs everything once. */
export interface MailServerTrouble {
  reason?: string;
  isAlerted?: boolean;
}
