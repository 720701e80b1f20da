export interface ConsentDecision {
  /** The address to choose on the page. */
  account: string;
  /** Presses "Deny". */
  decline?: boolean;
  /** Scopes to untick before "Allow". */
  untick?: readonly string[];
}

/** Google showed a page that ends the flow, in place of sending the person back. */
export class ConsentRefused extends Error {
  override name = "ConsentRefused";
  readonly status: number;
  /** Like `redirect_uri_mismatch`. */
  readonly error: string;

  constructor(status: number, error: string) {
    super(`the authorization ended on an error page: ${status} ${error}`);
    this.status = status;
    this.error = error;
  }
}

/**
 * Does what a person does in the browser: opens the page, chooses, decides. Answers with the URL
 * that the browser would then be sent to.
 */
export async function giveConsent(authUrl: string, decision: ConsentDecision): Promise<string> {
  const opened = await fetch(authUrl, { redirect: "manual" });
  const silent = opened.headers.get("location");
  if (silent !== null) return silent;
  const page = await opened.text();
  if (opened.status !== 200) throw refusal(opened.status, page);

  const decided = await fetch(authUrl, {
    method: "POST",
    redirect: "manual",
    body: fillIn(page, decision),
  });
  const location = decided.headers.get("location");
  if (location === null) throw refusal(decided.status, await decided.text());
  return location;
}

function refusal(status: number, page: string): ConsentRefused {
  return new ConsentRefused(status, /Error \d+: (\w+)/.exec(page)?.[1] ?? "unknown");
}

function fillIn(page: string, decision: ConsentDecision): URLSearchParams {
  const { account, decline = false, untick = [] } = decision;
  const inputs = [...page.matchAll(/<input\b([^>]*)>/g)].map(([, attributes = ""]) => ({
    name: attributeOf(attributes, "name"),
    value: attributeOf(attributes, "value") ?? "",
    email: attributeOf(attributes, "data-email"),
  }));
  const chosen = inputs.find(({ email }) => email?.toLowerCase() === account.toLowerCase());
  if (chosen === undefined && !decline) throw new Error(`the page does not offer ${account}`);
  const scopes = inputs.filter(({ name }) => name === "scope").map(({ value }) => value);
  const absent = untick.filter((scope) => !scopes.includes(scope));
  if (absent.length > 0) throw new Error(`the page has no box for ${absent.join(", ")}`);

  const form = new URLSearchParams({ decision: decline ? "deny" : "allow" });
  if (chosen !== undefined) form.set("account", chosen.value);
  for (const scope of scopes) if (!untick.includes(scope)) form.append("scope", scope);
  return form;
}

function attributeOf(attributes: string, name: string): string | undefined {
  const text = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1];
  return text
    ?.replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
