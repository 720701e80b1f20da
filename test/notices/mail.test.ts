import type { Notice } from "../../functions/src/domain/notice.ts";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EmailAddress } from "../../functions/src/domain/email-address.ts";
import { noticeMail } from "../../functions/src/notices/mail.ts";
import type { UserId } from "../../functions/src/domain/user.ts";

const LINK = "https://connect.example.com/reauthorize/v1.2026-11.aXY.bGluaw.dGFn";
const APP = { name: "Acme Desk" };

function notice(over: Partial<Notice> = {}): Notice {
  return {
    userId: "113" as UserId,
    generation: 2,
    number: 0,
    isLast: false,
    emailAddress: "ada@example.com" as EmailAddress,
    reason: "invalid_grant",
    reauthorizeUrl: LINK,
    ...over,
  };
}

const write = (over: Partial<Notice> = {}, app: Parameters<typeof noticeMail>[1] = APP) =>
  noticeMail(notice(over), app, "app.example");

/** What a mail program makes of the action in the mail. */
function actionIn(html: string): Record<string, unknown> {
  const [, json = ""] = /<script type="application\/ld\+json">(.*?)<\/script>/s.exec(html) ?? [];
  return JSON.parse(json) as Record<string, unknown>;
}

/** The words of a page, its markup and white space left out. */
function wordsOf(html: string): string {
  return html
    .replace(/<script.*?<\/script>/gs, " ")
    .replace(/<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ")
    .replaceAll("&#39;", "'");
}

describe("the mail to a person whose grant has ended", () => {
  it("says the same in text and in HTML, and has the markup for Gmail's button", () => {
    const { subject, text, html } = write();
    expect(subject).toBe("Acme Desk: allow access to your Gmail account again");
    expect(text)
      .toBe(`Google no longer lets Acme Desk read changes in ada@example.com. Once you allow access again, we'll pick up where we left off and deliver what you missed.

Allow access again:
${LINK}

The link takes you to connect.example.com, and from there to Google, where you decide. It works once, for this account only, and expires in seven days. Only Google will ask for your password.

If you no longer want Acme Desk to have access, you don't need to do anything. If it's still needed, we'll remind you in three days and once more in a week. Then we'll stop.

-- 
Acme Desk
`);
    const words = wordsOf(html);
    for (const sentence of text.split(/\n+/).filter((line) => !/^(https|Allow|-- )/.test(line))) {
      expect(words).toContain(sentence);
    }
    expect(actionIn(html)).toEqual({
      "@context": "http://schema.org",
      "@type": "EmailMessage",
      potentialAction: {
        "@type": "ViewAction",
        target: LINK,
        url: LINK,
        name: "Allow access again",
      },
      description: expect.stringContaining("ada@example.com"),
    });
  });

  it("says which reminder it is, and that the last is the last", () => {
    const [first, second, third] = [
      write(),
      write({ number: 1 }),
      write({ number: 2, isLast: true }),
    ].map(({ subject, text }) => ({ subject, text }));
    expect(second?.subject).toBe(
      "Reminder from Acme Desk: allow access to your Gmail account again",
    );
    expect(third?.subject).toMatch(/^Last reminder from/);
    expect(first?.text).toContain("we'll remind you");
    expect(second?.text).not.toMatch(/we'll remind you|last email/);
    expect(third?.text).toContain("This is the last email we'll send you about this.");
  });

  it("claims no cause, and says what to do if Google gave a reason", () => {
    for (const reason of ["invalid_grant", "tokens_revoked", "whatever_google_says_next"]) {
      expect(write({ reason }).text).toBe(write().text);
    }
    expect(write({ reason: "invalid_rapt" }).text).toContain("sign in again from time to time");
    expect(write({ reason: "admin_policy_enforced" }).html).toContain("ask them");
    const all = ["invalid_grant", "invalid_rapt", "admin_policy_enforced", "insufficient_scope"];
    for (const reason of all) {
      const { text } = write({ reason });
      expect(text).not.toMatch(/revoked|changed your password|expired|because|due to/i);
      expect(text).not.toContain(reason);
    }
  });

  it("loads nothing but the logo, and names only the person and the support address", () => {
    const plain = write().html;
    expect(plain).not.toMatch(/src=|url\(|<link|@import|background=/i);
    expect([...plain.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)).toEqual([LINK]);
    const logoUrl = "https://app.example.com/logo.png";
    const full = write({}, { ...APP, logoUrl, supportEmail: "help@example.com" });
    expect([...full.html.matchAll(/src="([^"]*)"/g)].map(([, src]) => src)).toEqual([logoUrl]);
    expect(full.html).toContain('<a href="mailto:help@example.com">help@example.com</a>');
    expect(full.text).toContain("Questions? help@example.com");
  });

  it("has the same Message-ID for the same mail, another for every other, and reveals nothing by it", () => {
    const ids = [
      write(),
      write({ number: 1 }),
      write({ generation: 3 }),
      write({ userId: "114" as UserId }),
    ].map(({ messageId }) => messageId);
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^<[0-9a-f]{32}@app\.example>$/);
    expect(write({ reauthorizeUrl: `${LINK}x`, reason: "invalid_rapt" }).messageId).toBe(ids[0]);
  });

  it("escapes names in the page and in the action", () => {
    const hostile = fc.oneof(
      fc.string(),
      fc.constantFrom("</script><script>alert(1)</script>", '"><img src=x>', "<!--", "&lt;b&gt;"),
    );
    const skeleton = (html: string) => [...html.matchAll(/<[/!]?[a-z-]+/gi)].join(" ");
    const expected = skeleton(write().html);
    fc.assert(
      fc.property(hostile, (name) => {
        const { html } = write({}, { name });
        expect(skeleton(html)).toBe(expected);
        expect(actionIn(html)["description"]).toContain(name);
      }),
    );
  });
});
