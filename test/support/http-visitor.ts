import type { LocalStack } from "../local/stack.ts";
import { type Browser, FROM_OUR_PAGE, openBrowser } from "./browser.ts";
import type { Visitor } from "./every-page.ts";

/** A visitor who sees each page as the response that it is. */
export interface HttpVisitor extends Visitor {
  /** The page that is open. */
  page(): Response;
}

/**
 * Returns a person with this Google account, whose browser knows forms, links and cookies, and asks
 * for this language.
 */
export function httpVisitor(
  { emulator }: LocalStack,
  account: string,
  language = "en",
): HttpVisitor {
  const browser: Browser = openBrowser(language);
  let response: Response | undefined;
  let text = "";

  async function take(next: Response): Promise<void> {
    const location = next.headers.get("location");
    const to = location === null ? undefined : new URL(location, next.url);
    if (to?.origin === new URL(next.url).origin) return take(await browser.get(to.href));
    response = next;
    text = unescaped(await next.clone().text());
  }
  function page(): Response {
    if (response === undefined) throw new Error("no page is open");
    return response;
  }

  return {
    page,
    open: async (url) => take(await browser.get(url)),

    async press(button) {
      const forms = [...text.matchAll(/<form\b[^>]*action="([^"]*)"[^>]*>([^]*?)<\/form>/g)];
      const form = forms.find(([, , content = ""]) =>
        [...content.matchAll(/<button\b[^>]*>([^]*?)<\/button>/g)].some(
          ([, inner]) => nameOf(inner) === button,
        ),
      );
      const [, action = "", content = ""] = form ?? missing(`button "${button}"`);
      const inputs = [...content.matchAll(/<input\b[^>]*name="([^"]*)"[^>]*value="([^"]*)"/g)];
      const fields = inputs.map(([, name = "", value = ""]) => [name, value]);
      await take(await browser.post(action, Object.fromEntries(fields)));
    },

    async follow(link) {
      const links = [...text.matchAll(/<a\b[^>]*href="([^"]*)"[^>]*>([^]*?)<\/a>/g)];
      const found =
        links.find(([, , inner]) => nameOf(inner) === link) ?? missing(`link "${link}"`);
      await take(await browser.get(found[1] ?? "", FROM_OUR_PAGE));
    },

    async decide(decision) {
      const toGoogle = page().headers.get("location") ?? missing("redirect to Google");
      const decline = decision === "Deny";
      await take(await browser.get(await emulator.consent(toGoogle, { account, decline })));
    },

    shows: async (title) =>
      void (text.includes(`<h1>${title}</h1>`) || missing(`title "${title}"`)),
    says: async (words) => void (text.includes(words) || missing(`text "${words}"`)),
  };

  function missing(what: string): never {
    throw new Error(`no ${what} on ${response?.url}: ${text}`);
  }
}

/** What a person reads on a link or a button: its content without markup. */
function nameOf(content = ""): string {
  return content.replaceAll(/<[^>]*>/g, "").trim();
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

function unescaped(html: string): string {
  return html.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity] ?? entity);
}
