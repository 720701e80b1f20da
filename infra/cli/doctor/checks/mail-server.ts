import { verifyMailServer } from "../../../../functions/src/notices/smtp.ts";
import type { Deployment } from "../deployment.ts";
import { type Verdict, Unchecked, failed, passed } from "../verdict.ts";

/** Checks that the mail server accepts the login. Sends no mail. */
export async function mailServer(it: Deployment): Promise<Verdict> {
  const { notices } = await it.configWith("NOTICE_SMTP_URL");
  if (notices === undefined) return passed("no mail is sent: NOTICE_SMTP_URL is not set");
  const { host } = new URL(notices.smtpUrl);
  const outcome = await verifyMailServer(notices);
  switch (outcome.kind) {
    case "accepted":
      return passed(`${host} takes the login`);
    case "misconfigured":
    case "refused":
      return failed(
        `${host} refuses us (${outcome.reason})`,
        `add a version of the secret NOTICE_SMTP_URL, then: ${await it.redeploy()}`,
      );
    case "failed":
      // Many networks block outgoing mail; the functions' own may not.
      throw new Unchecked(`${host} cannot be reached from here (${outcome.reason})`);
  }
}
