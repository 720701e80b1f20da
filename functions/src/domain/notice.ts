import type { EmailAddress } from "./email-address.ts";
import type { UserId } from "./user.ts";

/** One mail to a person whose grant has ended. */
export interface Notice {
  userId: UserId;
  /** Of the grant that has ended. */
  generation: number;
  /** How many mails about it went before. */
  number: number;
  /** Nothing more is sent after this one. */
  isLast: boolean;
  emailAddress: EmailAddress;
  /** `statusReason`: for what to do about it, never for why it happened. */
  reason: string;
  reauthorizeUrl: string;
}

/** What became of a mail. `reason` is of codes and digits: it may be logged. */
export type NoticeOutcome =
  | { kind: "sent" }
  /** The mail server wants nothing for this address, ever. */
  | { kind: "refused"; reason: string }
  /** It may work later. Not known either whether the mail was taken, if the answer got lost. */
  | {
      kind: "failed";
      reason: string;
      /** The server refused the connection, the greeting or the login: no mail goes out at all. */
      isOfServer?: boolean;
    }
  /** The mail server does not accept our set-up: only the operator can mend it. */
  | { kind: "misconfigured"; reason: string };

/** Sends a mail, or says why not, within {@link SEND_MS_MAX}. Never throws. */
export type SendNotice = (notice: Notice) => Promise<NoticeOutcome>;
