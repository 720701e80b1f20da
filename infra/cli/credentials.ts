import { GoogleAuth, JWT, JWTAccess } from "google-auth-library";
import { CommandError } from "./errors.ts";

/** Which credentials to find, and what for. */
export interface CredentialOptions {
  scopes: readonly string[];
  /** The key file of a service account, instead of the application default credentials. */
  keyFile?: string | undefined;
  /** With a service account's key, sign a token for this audience instead of asking for one. */
  audience?: string;
  /** What to do when there are no credentials. */
  fix: string;
}

/**
 * Returns a function that makes the `authorization` header of a request, from credentials that are
 * found once. That function throws {@link CommandError}; messages of Google's library can quote a
 * token or a key, so they are dropped.
 */
export function googleCredentials(options: CredentialOptions): () => Promise<string> {
  const { scopes, keyFile, audience, fix } = options;
  let finding: ReturnType<GoogleAuth["getClient"]> | undefined;

  async function find() {
    try {
      const keyFilename = keyFile === undefined ? {} : { keyFilename: keyFile };
      finding ??= new GoogleAuth({ scopes: [...scopes], ...keyFilename }).getClient();
      const client = await finding;
      // The library treats a file that is not JSON as a bare key, which belongs to no account.
      if (!(client instanceof JWT) || client.email) return client;
    } catch {
      // The error below says what is missing.
    }
    if (keyFile === undefined) {
      throw new CommandError("there are no application default credentials", { fix });
    }
    throw new CommandError(`${keyFile} is not the key of a service account`);
  }

  return async () => {
    const client = await find();
    try {
      const headers =
        client instanceof JWT && audience !== undefined
          ? new JWTAccess(client.email, client.key, client.keyId).getRequestHeaders(audience)
          : await client.getRequestHeaders();
      return headers.get("authorization") ?? "";
    } catch {
      throw new CommandError("the credentials bring no access token", { fix });
    }
  };
}
