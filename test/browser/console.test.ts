import { execFile } from "node:child_process";
import { promisify } from "node:util";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Playground, startPlayground } from "../local/playground.ts";
import { isSkipped, launchChromium } from "./chromium.ts";
import { connectAda, playStory } from "./console-story.ts";
import { pressByKeyboard } from "./keyboard.ts";
import { type Site, startSite } from "./site.ts";
import { type Visitor, openVisitor, shows } from "./visitor.ts";

/**
 * Goal: a developer who has never seen the project understands it on the page of `npm start`, and
 * can work with it. Method: a real Chromium on the real page, against the real functions.
 */

const run = promisify(execFile);
const ADA = "ada@example.com";
const CONNECTED = "Your Gmail account is connected";
const ADDED = "#changes details:has(strong:text('message.added'))";
const RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];
/** A dozen looks at a page on a machine that may be busy. */
const TIMEOUT_MS = 120_000;

describe.skipIf(isSkipped)("the local console", { timeout: TIMEOUT_MS }, () => {
  let browser: Browser;
  let subscriber: Site;
  let received: string[];
  let playground: Playground;
  let visitor: Visitor;
  let page: Page;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    received = [];
    subscriber = await startSite();
    subscriber.answer = async (request) => {
      const { message } = (await request.json()) as {
        message: { attributes: { "ce-id": string } };
      };
      received.push(message.attributes["ce-id"]);
      return new Response(null, { status: 204 });
    };
    playground = await startPlayground({ pagePort: 0, connectPort: 0, push: subscriber.origin });
    visitor = await openVisitor(browser, {
      javaScriptEnabled: true,
      viewport: { width: 1280, height: 800 },
    });
    ({ page } = visitor);
  });
  afterEach(async () => {
    try {
      expectNoComplaints(visitor);
    } finally {
      await visitor.context.close();
      await playground.close();
      subscriber.close();
    }
  });

  async function says(selector: string, text: string): Promise<void> {
    const place = page.locator(selector);
    await expect.poll(() => place.innerText(), { timeout: 10_000 }).toContain(text);
  }

  it("leads through the whole story by keyboard, and ticks off each step", async () => {
    const answer = await page.goto(playground.url);
    expect(answer?.headers()["content-security-policy"]).toBe(
      "default-src 'self'; frame-ancestors 'none'",
    );
    /** The key of the guide, Enter, and the tab that this opens. */
    const step = async () => {
      await page.keyboard.press("g");
      await page.keyboard.press("Enter");
    };
    const stepInNewTab = async () => {
      const opened = visitor.context.waitForEvent("page");
      await step();
      return opened;
    };
    const at = (progress: string) => says("#guide-progress", progress);

    await at("step 1 of 6");
    const google = await stepInNewTab();
    await pressByKeyboard(google, "Allow");
    await shows(google, CONNECTED);
    await google.close();
    await at("step 2 of 6");
    await says("#pill", "active");
    await step();
    await at("step 3 of 6");
    await step();
    await page.locator(`${ADDED}[open] pre`).waitFor();
    await says(`${ADDED} .what`, "“Lunch?” · UNREAD, INBOX");
    await at("step 4 of 6");
    await step();
    await at("step 5 of 6");
    await says("#pill", "reauthorization required");
    expect(await page.textContent("#standing")).not.toContain("Gmail notifies");
    const receiver = await stepInNewTab();
    await pressByKeyboard(receiver, "Continue with Google");
    await receiver.waitForURL(/\/o\/oauth2\/v2\/auth/);
    await pressByKeyboard(receiver, "Allow");
    await shows(receiver, CONNECTED);
    await receiver.close();
    await at("step 6 of 6");
    await says("#guide-missed", "2 missed changes were delivered");
    await step();
    await at("done");
    await says("#pill", "active");
    await expect.poll(() => page.locator(ADDED).count()).toBe(3);
  });

  it("passes axe in light and dark, on a phone and on a desktop", async () => {
    await playStory(playground);
    await page.goto(playground.url);
    await page.locator("#changes summary").first().click();
    await expect.poll(() => page.locator("#notices > li").count()).toBe(1);
    await page.evaluate(axe.source);
    const faults: unknown[] = [];
    let count = 0;
    const check = async (what: string) => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        const found = await page.evaluate(`axe.run({ runOnly: ${JSON.stringify(RULES)} })`);
        const { violations, passes } = found as axe.AxeResults;
        expect(passes.map(({ id }) => id)).toContain("color-contrast");
        for (const { id, nodes } of violations) {
          faults.push({ what, colorScheme, id, at: nodes.map(({ html }) => html) });
        }
        count += 1;
      }
    };
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      for (const pane of ["Mailbox", "Person", "Stream", "Inspector"]) {
        await page.locator("#nav").getByRole("button", { name: pane }).click();
        await check(`${pane} at ${width}`);
        const wide = await page.evaluate("document.documentElement.scrollWidth");
        expect({ pane, wide }).toEqual({ pane, wide: width });
      }
      for (const view of ["Calls", "Log"]) {
        await page.locator("#views").getByRole("button", { name: view }).click();
        await check(`${view} at ${width}`);
      }
      await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
      await check(`shortcuts at ${width}`);
      await page.keyboard.press("Escape");
    }
    await page.locator("#nav").getByRole("button", { name: "Mailbox" }).click();
    await page.locator("#threads .open").first().click();
    await check("a conversation");
    await page.getByRole("button", { name: "Compose" }).click();
    await check("the composer");
    expect(faults).toEqual([]);
    expect(count).toBe(32);
  });

  it("delivers an event to the subscriber once more, also as a copied command", async () => {
    await connectAda(playground);
    await visitor.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.goto(playground.url);
    await says("#changes .delivery", "✓ 204");
    await page.locator("#changes summary").first().click();
    await page.getByRole("button", { name: "Resend" }).click();
    await expect.poll(() => received.length).toBe(2);
    expect(received[1]).toBe(received[0]);
    await says("#said", `Delivered ${received[0]} once more.`);
    await page.getByRole("button", { name: "Copy as curl" }).click();
    await says("#said", "Copied.");
    await run("bash", ["-c", String(await page.evaluate("navigator.clipboard.readText()"))]);
    expect(received[2]).toBe(received[0]);
  });

  it("shows how the cursor moves, as a difference of two writes", async () => {
    await connectAda(playground);
    playground.stack.emulator.deliver(ADA);
    await playground.stack.emulator.idle();
    await page.goto(playground.url);
    await page.keyboard.press("2");
    await page.getByRole("button", { name: "+1 hour" }).click();
    await says("#clock", "1 hour ahead");
    const moved = page.locator(".field:has(b:text-is('historyId')):has(del)").first();
    const [before, after] = await Promise.all([
      moved.locator("del").innerText(),
      moved.locator("ins").innerText(),
    ]);
    const idOf = (text: string) => BigInt(text.replaceAll(/\D/g, ""));
    expect(idOf(after)).toBeGreaterThan(idOf(before));
  });

  it("reads, stars and answers mail", async () => {
    playground.stack.emulator.deliver(ADA, { subject: "Lunch?", from: "Bob <bob@example.com>" });
    await page.goto(playground.url);
    const row = page.locator("#threads li");
    await row.locator(".star").click();
    await expect.poll(() => row.locator(".star").getAttribute("aria-pressed")).toBe("true");
    await row.locator(".open").click();
    await says("#thread-subject", "Lunch?");
    await page.getByRole("button", { name: "Answer" }).click();
    await page.getByRole("button", { name: "Deliver to Ada" }).click();
    await expect.poll(() => page.locator("#messages > li").count()).toBe(2);
    for (const [name, count] of [
      ["Send as Ada", 3],
      ["Deliver to Ada", 4],
    ] as const) {
      await page.getByRole("button", { name: "Answer" }).click();
      await page.getByRole("button", { name }).click();
      await expect.poll(() => page.locator("#messages > li").count()).toBe(count);
    }
    await page.keyboard.press("u");
    await says("#threads .from", "Bob (4)");
    await page.locator("#folders").getByRole("button", { name: "Trash" }).click();
    await says("#no-threads", "Nothing here");
    const { messages } = playground.stack.emulator.account(ADA);
    expect(messages.map(({ subject, labelIds }) => [subject, labelIds])).toEqual([
      ["Lunch?", ["INBOX", "STARRED"]],
      ["Re: Lunch?", ["UNREAD", "INBOX"]],
      ["Re: Lunch?", ["SENT"]],
      ["Re: Lunch?", ["UNREAD", "INBOX"]],
    ]);
  });

  it("shows markup in names, mails and labels as text", async () => {
    const { emulator } = playground.stack;
    const markup = `"><img src=x><script>document.title = "taken over"</script>`;
    const eve = emulator.createAccount({ email: "eve@example.com", name: markup });
    const mail = { from: markup, to: markup, subject: markup, text: markup };
    emulator.deliver(eve.email, { ...mail, labelIds: ["INBOX", markup] });
    await page.goto(playground.url);
    await page.locator("#account").selectOption(eve.email);
    await says("#threads .subject", markup);
    await page.locator("#threads .open").click();
    await says("#messages .labels", markup);
    await page.getByRole("button", { name: "Answer" }).click();
    await says("#composer [value=send]", markup);
    await page.goto(`${playground.stack.publicUrl}/start`);
    await says("form", markup);
    expect(await page.locator("img, script").count()).toBe(0);
  });

  it("begins a new mail with an empty form after an answer", async () => {
    playground.stack.emulator.deliver(ADA, { subject: "Minutes", from: "Cy <cy@example.com>" });
    await page.goto(playground.url);
    const values = () =>
      Promise.all(["other", "subject"].map((name) => page.locator(`[name=${name}]`).inputValue()));
    await page.locator("#threads .open").click();
    await page.getByRole("button", { name: "Answer" }).click();
    expect(await values()).toEqual(["Cy <cy@example.com>", "Re: Minutes"]);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Compose" }).click();
    expect(await values()).toEqual(["Bob Example <bob@example.com>", "Lunch?"]);
  });

  it("goes on in the inbox when the last message of a label is deleted", async () => {
    const { emulator } = playground.stack;
    emulator.deliver(ADA, { subject: "Old" });
    const { messageId } = emulator.deliver(ADA, { subject: "Report" });
    emulator.createLabel(ADA, "Work");
    emulator.addLabels(ADA, messageId, ["Work"]);
    await page.goto(playground.url);
    await page.locator("#folders").getByRole("button", { name: "Work" }).click();
    await page.locator("#threads .open").click();
    await page.getByRole("button", { name: "Delete: Report" }).press("Enter");
    await says("#threads", "Old");
    const inbox = page.locator("#folders").getByRole("button", { name: "Inbox" });
    expect(await inbox.getAttribute("aria-pressed")).toBe("true");
    expect(await page.evaluate("document.activeElement.id")).toBe("mailbox-heading");
  });

  it("sends a draft", async () => {
    const { emulator } = playground.stack;
    emulator.saveDraft(ADA, { subject: "Plan", to: "bob@example.com" });
    await page.goto(playground.url);
    await page.locator("#folders").getByRole("button", { name: "Drafts" }).click();
    await page.locator("#threads .open").click();
    await page.getByRole("button", { name: "Send: Plan" }).click();
    await says("#messages .labels", "SENT");
    expect(emulator.account(ADA).messages.map(({ labelIds }) => labelIds)).toEqual([["SENT"]]);
  });

  it("names the person of each event of a connection", async () => {
    await connectAda(playground);
    await page.goto(playground.url);
    const connected = page.locator("#changes .what");
    await expect.poll(() => connected.innerText()).toContain(`${ADA} · generation 1`);
  });

  it("says that the browser does not let it copy", async () => {
    await connectAda(playground);
    await page.goto(playground.url);
    await page.locator("#changes summary").first().click();
    await page.evaluate(
      "navigator.clipboard.writeText = () => Promise.reject(new Error('denied'))",
    );
    await page.getByRole("button", { name: "Copy JSON" }).click();
    const said = page.locator("#said");
    await expect.poll(() => said.innerText()).toContain("does not let this page copy");
  });

  it("keeps what is looked at in its place while events arrive", async () => {
    await connectAda(playground);
    const { emulator } = playground.stack;
    for (let mail = 0; mail < 30; mail += 1) emulator.deliver(ADA);
    await page.goto(playground.url);
    await expect.poll(() => page.locator("#changes > li").count()).toBe(31);
    const last = page.locator("#changes > li").last();
    await last.scrollIntoViewIfNeeded();
    const before = await last.boundingBox();
    for (let mail = 0; mail < 5; mail += 1) emulator.deliver(ADA);
    await expect.poll(() => page.locator("#changes > li").count()).toBe(36);
    const after = await last.boundingBox();
    expect(Math.abs(Number(after?.y) - Number(before?.y))).toBeLessThan(1);
  });
});

/** Nothing was refused by the policy, failed to load, or threw. */
function expectNoComplaints({ complaints }: Visitor): void {
  expect(complaints).toEqual([]);
}
