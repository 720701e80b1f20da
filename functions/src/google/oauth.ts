import { FailedCall, type Call } from "../domain/failure.ts";
import assert from "node:assert/strict";
import { Gaxios } from "gaxios";
import * as z from "zod";
import { type Clock, later } from "../domain/clock.ts";
import type { GoogleEndpoints } from "./endpoints.ts";
import { canonicalScope } from "../domain/scope.ts";
import { classify } from "./classify.ts";

/** The OAuth client of the receiver. */
export interface OAuthClient {
  clientId: string;
  clientSecret: string;
}

/** A token response (RFC 6749 §5.1). */
export interface TokenAnswer {
  accessToken: string;
  expiresAt: Date;
  /** Absent in the response to a refresh, unless Google rotates the token. */
  refreshToken?: string;
  /** The granted scopes, which can be fewer than the requested ones. */
  scopes: string[];
  idToken?: string;
}

/** Google's token and revocation endpoints. Each method throws {@link FailedCall} and nothing else. */
export interface OAuth {
  /**
   * RFC 6749 §4.1.3 with RFC 7636 §4.5. Called once: a second exchange would revoke the result of
   * the first.
   */
  exchangeCode(code: string, codeVerifier: string, redirectUri: string): Promise<TokenAnswer>;
  /** RFC 6749 §6. */
  refresh(refreshToken: string): Promise<TokenAnswer>;
  /** RFC 7009 §2.1, in the body. Ends the person's whole grant for the project. */
  revoke(token: string): Promise<void>;
}

/** The limit of one call; runs and pages have their own limits. */
const CALL_TIMEOUT_MS = 15_000;
/** The assumed lifetime without `expires_in`: enough for the one call that needed it. */
const EXPIRES_IN_SECONDS_UNKNOWN = 120;
/** Google says an hour. Any longer lifetime counts as a day, a date that can be stored. */
const EXPIRES_IN_SECONDS_MAX = 86_400;

/** RFC 6749, appendix A: the characters of a header. Google's tokens have at most 2048 bytes. */
const TOKEN = z.string().regex(/^[\x20-\x7e]{1,4096}$/);

/** Bounded, because everything except the ID token is stored. */
const TOKEN_ANSWER = z.object({
  access_token: TOKEN,
  expires_in: z.number().positive().optional(),
  refresh_token: TOKEN.optional(),
  scope: z.string().max(16_384).optional(),
  id_token: z.string().min(1).max(16_384).optional(),
});

/** Sends a form and resolves to the response body. Throws what the client throws. */
export type PostForm = (url: string, form: URLSearchParams) => Promise<unknown>;

function gaxiosPost(): PostForm {
  const http = new Gaxios({
    retry: false,
    timeout: CALL_TIMEOUT_MS,
    responseType: "json",
    // A followed 307 would send the form elsewhere: the client secret and the person's token.
    redirect: "manual",
  });
  return async (url, form) => (await http.request({ url, method: "POST", data: form })).data;
}

/** Returns Google's OAuth endpoints for one client. */
export function googleOAuth(
  client: OAuthClient,
  endpoints: GoogleEndpoints,
  clock: Clock,
  postForm: PostForm = gaxiosPost(),
): OAuth {
  async function post(call: Call, url: string, form: Record<string, string>): Promise<unknown> {
    try {
      return await postForm(url, new URLSearchParams(form));
    } catch (error) {
      throw new FailedCall(call, classify(call, error, clock.now()));
    }
  }

  async function requestToken(call: Call, form: Record<string, string>): Promise<TokenAnswer> {
    const askedAt = clock.now();
    assert(client.clientSecret !== "", "this function holds no client secret");
    const credentials = { client_id: client.clientId, client_secret: client.clientSecret };
    const answer = TOKEN_ANSWER.safeParse(
      await post(call, endpoints.token, { ...form, ...credentials }),
    );
    if (!answer.success) {
      throw new FailedCall(call, { kind: "transient", reason: "malformed_answer" });
    }
    const { access_token, refresh_token, scope, id_token } = answer.data;
    const { expires_in = EXPIRES_IN_SECONDS_UNKNOWN } = answer.data;
    return {
      accessToken: access_token,
      expiresAt: later(askedAt, Math.min(expires_in, EXPIRES_IN_SECONDS_MAX) * 1_000),
      scopes:
        scope
          ?.split(" ")
          .filter((name) => name !== "")
          .map(canonicalScope) ?? [],
      ...(refresh_token !== undefined && { refreshToken: refresh_token }),
      ...(id_token !== undefined && { idToken: id_token }),
    };
  }

  return {
    exchangeCode: (code, codeVerifier, redirectUri) =>
      requestToken("token.code", {
        grant_type: "authorization_code",
        code,
        code_verifier: codeVerifier,
        redirect_uri: redirectUri,
      }),

    refresh: (refreshToken) =>
      requestToken("token.refresh", { grant_type: "refresh_token", refresh_token: refreshToken }),

    async revoke(token) {
      await post("token.revoke", endpoints.revoke, { token });
    },
  };
}
