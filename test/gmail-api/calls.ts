import { type gmail_v1, gmail } from "googleapis/build/src/apis/gmail/index.js";
import { localIdToken } from "../local/id-token.ts";
import type { Scenario } from "../support/scenario.ts";

/** The service account that calls in these tests. */
export const CALLER = "help-desk@acme-mail.iam.gserviceaccount.com";
export const AUTHORIZATION = { authorization: `Bearer ${localIdToken(CALLER)}` };

/** Google's own client, unmodified, with `gmailApi` as its root URL. */
export function clientOf({ urls }: Scenario): gmail_v1.Resource$Users {
  const { users } = gmail({
    version: "v1",
    rootUrl: `${urls.gmailApi}/`,
    headers: AUTHORIZATION,
    retry: false,
  });
  return users;
}

/** What a client sees of a response. */
export interface Seen {
  status: number;
  headers: Headers;
  body: string;
  /** `errors[0].reason` of an error in Gmail's shape. */
  reason: unknown;
}

/** Calls a path of `gmailApi` as the service account. */
export async function call(
  { urls }: Scenario,
  path: string,
  { headers = {}, ...init }: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Seen> {
  const response = await fetch(`${urls.gmailApi}${path}`, {
    ...init,
    headers: { ...AUTHORIZATION, ...headers },
  });
  const body = await response.text();
  const { status } = response;
  const parsed = status < 400 ? undefined : (JSON.parse(body) as GmailError);
  return { status, headers: response.headers, body, reason: parsed?.error?.errors?.[0]?.reason };
}

interface GmailError {
  error?: { errors?: { reason?: unknown }[] };
}
