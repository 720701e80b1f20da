import type { End, Fleet } from "./fleet.ts";

/** A person's browser: it keeps cookies and follows no redirect by itself. */
export interface Browser {
  get(url: string): Promise<Page | undefined>;
  post(url: string, form: Record<string, string>): Promise<Page | undefined>;
}

/** What came back; nothing does when the instance dies. */
export interface Page {
  status: number;
  location: string | undefined;
  text: string;
}

export function openBrowser(fleet: Fleet): Browser {
  const cookies = new Map<string, string>();

  function request(url: string, init: RequestInit): Promise<Page | undefined> {
    const headers = new Headers(init.headers);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    if (cookie !== "") headers.set("cookie", cookie);
    return new Promise((resolve) => {
      const { pathname } = new URL(url);
      const ended = (end: End<Page>) => resolve(end.kind === "resolved" ? end.value : undefined);
      fleet.invoke(
        "connect",
        `${init.method} ${pathname.slice(0, 14)}`,
        async ({ connect, http }) => {
          const response = await connect(new Request(url, { ...init, headers }), http.log, "");
          keepCookies(response);
          return {
            status: response.status,
            location: response.headers.get("location") ?? undefined,
            text: await response.text(),
          };
        },
        ended,
      );
    });
  }

  function keepCookies({ headers }: Response): void {
    for (const line of headers.getSetCookie()) {
      const [name = "", value = ""] = (line.split(";")[0] ?? "").split("=");
      if (/max-age=0/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
  }

  return {
    // People follow links on the receiver's own pages.
    get: (url) => request(url, { method: "GET", headers: { "sec-fetch-site": "same-origin" } }),
    post: (url, form) =>
      request(url, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams(form).toString(),
      }),
  };
}
