import { createHash } from "node:crypto";
import { auth, gmail, type gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { DEFAULT_CLIENT, type GmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

export const REDIRECT_URI = "http://127.0.0.1:8080/callback";
const VERIFIER = "an-application-makes-this-verifier-up-and-keeps-it";

/** An authorization URL as an application would make it; a parameter of `undefined` is left out. */
export function authUrl(
  emulator: GmailEmulator,
  parameters: Record<string, string | undefined> = {},
): string {
  const url = new URL("/o/oauth2/v2/auth", emulator.url);
  const all = {
    client_id: DEFAULT_CLIENT.clientId,
    redirect_uri: REDIRECT_URI,
    response_type: "code",
    scope: `openid email ${GMAIL_SCOPES.metadata}`,
    access_type: "offline",
    code_challenge: createHash("sha256").update(VERIFIER).digest("base64url"),
    code_challenge_method: "S256",
    state: "state-1",
    ...parameters,
  };
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) url.searchParams.set(name, value);
  }
  return url.href;
}

export interface TokenAnswer {
  status: number;
  body: Record<string, unknown>;
}

/** Posts a form to the token endpoint, as the default client. */
export async function postToken(
  emulator: GmailEmulator,
  form: Record<string, string>,
): Promise<TokenAnswer> {
  const { clientId, clientSecret } = DEFAULT_CLIENT;
  const response = await fetch(`${emulator.url}/token`, {
    method: "POST",
    body: new URLSearchParams({ client_id: clientId, client_secret: clientSecret, ...form }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
}

export async function redeem(
  emulator: GmailEmulator,
  code: string,
  form: Record<string, string> = {},
): Promise<TokenAnswer> {
  return postToken(emulator, {
    grant_type: "authorization_code",
    code,
    redirect_uri: REDIRECT_URI,
    code_verifier: VERIFIER,
    ...form,
  });
}

export async function refresh(emulator: GmailEmulator, refreshToken: string): Promise<TokenAnswer> {
  return postToken(emulator, { grant_type: "refresh_token", refresh_token: refreshToken });
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  idToken: string;
  scope: string;
}

/** A person of this address allows everything that is asked for. */
export async function connect(
  emulator: GmailEmulator,
  account: string,
  parameters: Record<string, string | undefined> = {},
): Promise<Tokens> {
  const redirect = new URL(await emulator.consent(authUrl(emulator, parameters), { account }));
  const { redirect_uri: uri } = parameters;
  const form = uri === undefined ? {} : { redirect_uri: uri };
  const { body } = await redeem(emulator, redirect.searchParams.get("code") ?? "", form);
  return {
    accessToken: String(body["access_token"]),
    refreshToken: String(body["refresh_token"] ?? ""),
    idToken: String(body["id_token"] ?? ""),
    scope: String(body["scope"]),
  };
}

/** The unmodified client library, pointed at the emulator with one access token. */
export function gmailClient(emulator: GmailEmulator, accessToken: string): gmail_v1.Gmail {
  const credentials = new auth.OAuth2();
  credentials.setCredentials({
    access_token: accessToken,
    expiry_date: Date.now() + 3_600_000,
  });
  return gmail({ version: "v1", auth: credentials, rootUrl: emulator.url, retry: false });
}

export interface GoogleError {
  status: number;
  message: string;
  reason: string | undefined;
}

/** The refusal of a call, as its body tells it. A call that succeeds is a failure of the test. */
export async function refusalOf(call: Promise<unknown>): Promise<GoogleError> {
  const error: unknown = await call.then(
    () => {
      throw new Error("the call was not refused");
    },
    (thrown: unknown) => thrown,
  );
  const response = (error as { response?: { status: number; data: unknown } }).response;
  if (response === undefined) throw error;
  const { error: body } = response.data as {
    error: { message: string; errors?: { reason: string }[] };
  };
  return {
    status: response.status,
    message: body.message,
    reason: body.errors?.[0]?.reason,
  };
}
