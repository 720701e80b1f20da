import type { EmailAddress } from "./email-address.ts";
import type { UserId } from "./user.ts";

/** One mail to a person whose grant has ended. */
export interface Notice {
  userId: UserId;
  /** The generation of the grant that has ended. */
  generation: number;
  /** The number of mails about it before this one. */
  number: number;
  /** No more mails follow this one. */
  isLast: boolean;
  emailAddress: EmailAddress;
  /** The person's language (BCP 47); without one the mail is in English. */
  language?: string;
  /** `statusReason`, for advice on what to do, never for why it happened. */
  reason: string;
  reauthorizeUrl: string;
}

/** The result of a mail. `reason` consists of codes and digits, so it may be logged. */
export type NoticeOutcome =
  | { kind: "sent" }
  /** The mail server permanently rejects this address. */
  | { kind: "refused"; reason: string }
  /** A retry may succeed. If the response was lost, the mail may have been accepted. */
  | {
      kind: "failed";
      reason: string;
      /**
       * The server rejected the connection, the greeting or the login: no mail can be sent at all.
       */
      isOfServer?: boolean;
    }
  /** The mail server rejects the configuration: only the operator can fix it. */
  | { kind: "misconfigured"; reason: string };

/** Sends a mail, or returns why not, within {@link SEND_MS_MAX}. Never throws. */
export type SendNotice = (notice: Notice) => Promise<NoticeOutcome>;
