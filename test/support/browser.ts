import type { ConsentDecision } from "../gmail-emulator/consent.ts";
import type { GmailEmulator } from "../gmail-emulator/emulator.ts";

/** A browser as far as cookies and redirects go: it keeps the first, and follows within one origin. */
export interface Browser {
  /** The page that a person would see, or the redirect that leads to another origin. */
  get(url: string, headers?: Record<string, string>): Promise<Response>;
  /** The first answer, wherever it leads. */
  ask(url: string, headers?: Record<string, string>): Promise<Response>;
  /** Sends a form as a page of `from` would. */
  post(url: string, form: Record<string, string>, from?: string): Promise<Response>;
  cookies: Map<string, string>;
}

/** What a browser sends when the person follows a link on a page of `connect`. */
export const FROM_OUR_PAGE = { "sec-fetch-site": "same-origin" };

/** Returns a browser without cookies, whose person prefers this language. */
export function openBrowser(language = "en"): Browser {
  const cookies = new Map<string, string>();

  async function request(url: string, init: RequestInit): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = {
      "accept-language": language,
      ...(init.headers as Record<string, string>),
      ...(cookie && { cookie }),
    };
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) {
      const [name = "", value = ""] = (line.split(";")[0] ?? "").split("=");
      if (/max-age=0/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
    return response;
  }

  async function get(url: string, headers: Record<string, string> = {}): Promise<Response> {
    const response = await request(url, { headers });
    const location = response.headers.get("location");
    const to = location === null ? undefined : new URL(location, url);
    return to?.origin === new URL(url).origin ? get(to.href, headers) : response;
  }

  return {
    cookies,
    get,
    ask: (url, headers = {}) => request(url, { headers }),
    post: (url, form, from = new URL(url).origin) =>
      request(url, {
        method: "POST",
        headers: { origin: from, "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams(form).toString(),
      }),
  };
}

/** From an answer that leads to Google, through the consent page there, and back to us. */
export async function throughGoogle(
  { consent }: Pick<GmailEmulator, "consent">,
  browser: Browser,
  toGoogle: Response,
  decision: ConsentDecision,
): Promise<Response> {
  const location = toGoogle.headers.get("location");
  if (location === null) throw new Error(`not sent to Google: ${toGoogle.status}`);
  return browser.get(await consent(location, decision));
}
