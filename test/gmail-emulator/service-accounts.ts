import { generateKeyPairSync, verify } from "node:crypto";
import { z } from "zod";
import { type Answer, ok } from "./answer.ts";
import { oauthError } from "./errors.ts";
import { type Account, findAccount, type Google } from "./google.ts";
import { accountId } from "./ids.ts";
import { issueAccessToken } from "./tokens.ts";

/** A service account, which signs for itself with its key. */
export interface ServiceAccount {
  readonly email: string;
  /** The number that an administrator delegates to. */
  readonly clientId: string;
  readonly projectId: string;
  /** PEM */
  readonly publicKey: string;
  /** By domain: what its administrator lets the account do for everyone there. */
  readonly delegations: Map<string, ReadonlySet<string>>;
}

/** The file that is downloaded for a service account. */
export interface ServiceAccountKey {
  readonly type: "service_account";
  readonly project_id: string;
  readonly private_key_id: string;
  readonly private_key: string;
  readonly client_email: string;
  readonly client_id: string;
}

/** Makes a service account. Returns its key file. */
export function createServiceAccount(
  google: Google,
  email: string,
  projectId: string,
): ServiceAccountKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  google.serial += 1;
  const clientId = accountId(google.random, google.serial);
  google.serviceAccounts.set(email, {
    email,
    clientId,
    projectId,
    publicKey: publicKey.export({ format: "pem", type: "spki" }).toString(),
    delegations: new Map(),
  });
  return {
    type: "service_account",
    project_id: projectId,
    private_key_id: "emulated",
    private_key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    client_email: email,
    client_id: clientId,
  };
}

/** The administrator of a domain lets a service account use these scopes for everyone there. */
export function delegateDomain(
  google: Google,
  email: string,
  domain: string,
  scopes: readonly string[],
): void {
  const serviceAccount = google.serviceAccounts.get(email);
  if (serviceAccount === undefined) throw new Error(`no service account ${email}`);
  serviceAccount.delegations.set(domain.toLowerCase(), new Set(scopes));
}

export const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/** The token endpoints that assertions name, and the emulator's own. */
const AUDIENCE =
  /^(https:\/\/(oauth2|www)\.googleapis\.com\/(oauth2\/v\d\/)?token|https:\/\/accounts\.google\.com\/o\/oauth2\/token|http:\/\/(127\.0\.0\.1|localhost):\d+\/token)$/;
const SECONDS_MAX = 3_600;
/** How far the clocks of the two may differ. */
const SKEW_SECONDS = 300;

const HEADER = z.object({ alg: z.literal("RS256") });
const CLAIMS = z.object({
  iss: z.string(),
  sub: z.string().optional(),
  scope: z.string().default(""),
  aud: z.string(),
  iat: z.number(),
  exp: z.number(),
});

interface Assertion {
  readonly claims: z.output<typeof CLAIMS>;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/**
 * The token endpoint for service accounts (RFC 7523 section 2.1) that act for a person of a domain
 * that has let them.
 */
export function redeemAssertion(google: Google, text: string | null): Answer {
  if (text === null) {
    return oauthError(400, "invalid_request", "Missing required parameter: assertion");
  }
  const assertion = readAssertion(text);
  if (assertion === undefined) return oauthError(400, "invalid_grant", "Bad Request");
  const { claims, signed, signature } = assertion;
  const serviceAccount = google.serviceAccounts.get(claims.iss);
  if (serviceAccount === undefined) {
    return oauthError(400, "invalid_grant", "Invalid grant: account not found");
  }
  if (!verify("RSA-SHA256", signed, serviceAccount.publicKey, signature)) {
    return oauthError(400, "invalid_grant", "Invalid JWT Signature.");
  }
  const now = google.now() / 1_000;
  const { iat, exp, aud, sub, scope } = claims;
  if (exp - iat > SECONDS_MAX || exp <= now - SKEW_SECONDS || iat > now + SKEW_SECONDS) {
    return oauthError(
      400,
      "invalid_grant",
      "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
    );
  }
  if (!AUDIENCE.test(aud))
    return oauthError(400, "invalid_grant", "Invalid JWT: Failed audience check.");
  const scopes = new Set(scope.split(" ").filter((each) => each !== ""));
  if (scopes.size === 0) {
    return oauthError(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.");
  }
  const account = sub === undefined ? undefined : findAccount(google, sub);
  if (account === undefined || account.standing === "deleted") {
    return oauthError(400, "invalid_grant", "Invalid email or User ID");
  }
  const delegated = serviceAccount.delegations.get(domainOf(account));
  if (delegated === undefined || ![...scopes].every((each) => delegated.has(each))) {
    return oauthError(
      401,
      "unauthorized_client",
      "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.",
    );
  }
  const { clientId, projectId } = serviceAccount;
  const grant = { sub: account.sub, clientId, projectId, scopes, isDelegated: true };
  return ok({
    access_token: issueAccessToken(google, account, grant).token,
    expires_in: google.settings.accessTokenSeconds,
    scope: [...scopes].join(" "),
    token_type: "Bearer",
  });
}

/** Whom an assertion says it is for; nothing is verified. */
export function subjectOf(assertion: string): string | undefined {
  return readAssertion(assertion)?.claims.sub;
}

function readAssertion(text: string): Assertion | undefined {
  const [header = "", payload = "", signature = "", ...rest] = text.split(".");
  const claims = CLAIMS.safeParse(decoded(payload));
  if (rest.length > 0 || !claims.success || !HEADER.safeParse(decoded(header)).success) {
    return undefined;
  }
  return {
    claims: claims.data,
    signed: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, "base64url"),
  };
}

function decoded(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString());
  } catch {
    return undefined;
  }
}

function domainOf({ hostedDomain, email }: Account): string {
  return (hostedDomain ?? email.split("@").at(-1) ?? "").toLowerCase();
}
