import { auth, gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";

/** How the receiver's `gmailApi` is called. */
export interface GmailOptions {
  /** The address of the receiver's function `gmailApi`. */
  url: string;
  /**
   * Returns an ID token for that address. Without it the environment's service account has Google
   * sign one; it needs the role `roles/run.invoker` on `gmailApi`.
   */
  idToken?: () => Promise<string>;
}

/** Google's ID tokens live for an hour: one of yours is asked for again after half of that. */
const ID_TOKEN_MS = 30 * 60_000;

/**
 * Google's own Gmail client for one connected mailbox. Its calls go to the receiver, which has the
 * grant: `userId` in a call is the connected user, and need not be given.
 */
export async function gmail(
  userId: string,
  { url, idToken }: GmailOptions,
): Promise<gmail_v1.Gmail> {
  const rootUrl = url.endsWith("/") ? url : `${url}/`;
  return new gmail_v1.Gmail({
    rootUrl,
    params: { userId },
    auth: idToken === undefined ? await googleClient(url) : clientWith(idToken),
  });
}

/** One for each address: it keeps its token. */
const googleClients = new Map<string, ReturnType<typeof auth.getIdTokenClient>>();

function googleClient(url: string) {
  const known = googleClients.get(url);
  if (known !== undefined) return known;
  const client = auth.getIdTokenClient(url);
  googleClients.set(url, client);
  // Without credentials now, there may be some at the next call.
  client.catch(() => googleClients.delete(url));
  return client;
}

function clientWith(idToken: () => Promise<string>) {
  const client = new auth.OAuth2();
  client.refreshHandler = async () => ({
    access_token: await idToken(),
    expiry_date: Date.now() + ID_TOKEN_MS,
  });
  return client;
}
