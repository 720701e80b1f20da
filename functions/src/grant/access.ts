import type { GrantContext } from "./context.ts";
import { FailedCall, attempt } from "../domain/failure.ts";
import { type Clock, backoffMs, jittered, later } from "../domain/clock.ts";
import type { Access, ObtainedToken, Unanswered } from "../domain/access.ts";
import { type Result, err } from "../domain/result.ts";
import { type User, sameGrant } from "../domain/user.ts";
import { storeRotated } from "./rotated-token.ts";

/** The token endpoint's response to a refresh (RFC 6749 §6). */
export interface RefreshedToken {
  accessToken: string;
  expiresAt: Date;
  /** Present only when Google rotates it; the old one may be dead by then. */
  refreshToken?: string;
}

/** A token that is about to expire could do so during a call. */
const EXPIRY_MARGIN_MS = 60_000;
/** Attempts of one call within a run; then a due time takes over. */
const TRIES_MAX = 3;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 8_000;
/** Between the first rejection of a grant and the second: long enough for a short disturbance. */
const CONFIRM_MS = 2_000;
/** 401, new token, 401, confirmation, and the transient attempts in between. */
const STEPS_MAX = 8;

/**
 * Opens the way to call Gmail as one user. `triesMax` bounds the attempts of a call with a
 * transient failure.
 */
export function openAccess(
  opened: User,
  context: GrantContext,
  triesMax: number = TRIES_MAX,
): Access {
  const { clock, random, tokens } = context;
  let user = opened;
  let held: { token: string; minted: boolean } | undefined;
  let obtained: ObtainedToken | undefined;
  let isCacheTrusted = true;

  async function accessToken(): Promise<string> {
    held ??= (isCacheTrusted ? cached() : undefined) ?? (await mint());
    return held.token;
  }

  function cached(): { token: string; minted: boolean } | undefined {
    const { accessToken: sealed } = user.grant;
    if (sealed === undefined || !hasLiveToken(user, clock)) return undefined;
    const token = tokens.open(user.id, "access_token", sealed);
    return token === undefined ? undefined : { token, minted: false };
  }

  async function mint(): Promise<{ token: string; minted: boolean }> {
    const answer = await refreshGrant(user, context);
    obtained = {
      accessToken: tokens.seal(user.id, "access_token", answer.accessToken),
      accessTokenExpiresAt: answer.expiresAt,
      clientId: context.config.oauth.clientId,
    };
    return { token: answer.accessToken, minted: true };
  }

  function forgetToken(): void {
    held = undefined;
    isCacheTrusted = false;
  }

  const call: Access["call"] = (method, request) =>
    repeated((token) => {
      // Google's responses about a mailbox that is known to be unavailable say nothing about our
      // configuration.
      if (user.status === "mailbox_unavailable") return request(token);
      return context.circuit.call(method, user.id, () => request(token));
    });

  async function repeated<T>(
    request: (accessToken: string) => Promise<T>,
  ): Promise<Result<T, Unanswered>> {
    let tries = 0;
    let isConfirming = false;
    for (let step = 0; ; step++) {
      const answer: Result<T, FailedCall> = await attempt(async () => request(await accessToken()));
      if (answer.ok || step === STEPS_MAX) return answer;
      const { failure } = answer.error;
      switch (failure.kind) {
        case "transient":
          tries += 1;
          if (tries >= triesMax) return answer;
          await clock.sleep(jittered(backoffMs(tries, RETRY_MS, RETRY_MS_MAX), random));
          break;

        case "mailbox_unavailable":
        case "unauthenticated":
        case "reauthorize": {
          const isStored = user.status === "mailbox_unavailable";
          // A probe only tests whether the stored status still holds.
          if (failure.kind === "mailbox_unavailable" && isStored) return answer;
          const isOfOldToken = failure.kind === "unauthenticated" && held?.minted === false;
          if (!isOfOldToken) {
            const stored = await context.users.find(user.id);
            if (!sameGrant(user, stored)) return err("superseded");
            // Another run may have stored a rotated token: then the rejected one is outdated.
            const isRotated = stored.grant.refreshToken !== user.grant.refreshToken;
            user = stored;
            if (!isRotated) {
              if (isConfirming) return answer;
              isConfirming = true;
              await clock.sleep(jittered(CONFIRM_MS, random));
            }
          }
          // The token was good enough for Gmail to open the mailbox.
          if (failure.kind !== "mailbox_unavailable") forgetToken();
          break;
        }

        default:
          return answer;
      }
    }
  }

  return {
    call,
    token: () => repeated((token) => Promise.resolve(token)),
    obtained: () => obtained,
  };
}

/** Returns whether the stored access token is valid for at least another minute. */
export function hasLiveToken({ grant }: Pick<User, "grant">, clock: Pick<Clock, "now">): boolean {
  const { accessToken, accessTokenExpiresAt: expiresAt } = grant;
  if (accessToken === undefined || expiresAt === undefined) return false;
  return expiresAt > later(clock.now(), EXPIRY_MARGIN_MS);
}

/**
 * Refreshes the stored grant (RFC 6749 §6) behind the circuit. A rotated refresh token is stored
 * before anything else uses the response. Throws `FailedCall`.
 */
export async function refreshGrant(user: User, context: GrantContext): Promise<RefreshedToken> {
  const { clientId = context.config.oauth.clientId, refreshToken: sealed } = user.grant;
  if (clientId !== context.config.oauth.clientId) {
    // Google would answer `invalid_grant` or `unauthorized_client`, as for a grant that has ended.
    context.alertOtherClient(user.id);
    throw new FailedCall("token.refresh", {
      kind: "misconfigured",
      reason: "grant_of_another_client",
    });
  }
  const refreshToken =
    sealed === undefined ? undefined : context.tokens.open(user.id, "refresh_token", sealed);
  if (refreshToken === undefined) {
    const reason = sealed === undefined ? "refresh_token_missing" : "token_decrypt_failed";
    throw new FailedCall("token.refresh", { kind: "misconfigured", reason });
  }
  const answer = await context.circuit.call("token.refresh", user.id, () =>
    context.oauth.refresh(refreshToken),
  );
  if (answer.refreshToken !== undefined && answer.refreshToken !== refreshToken) {
    await storeRotated(user, answer.refreshToken, context);
  }
  context.fleetGuard.noteRefreshed(user);
  return answer;
}

/** Returns whether Google accepts the stored grant of another user, as a sample. */
export async function tryRefresh(user: User, context: GrantContext): Promise<boolean> {
  const answer = await attempt(() => refreshGrant(user, context));
  return answer.ok;
}
