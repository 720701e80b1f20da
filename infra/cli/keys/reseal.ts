import { isDeepStrictEqual } from "node:util";
import type { TokenPurpose, TokenSeal } from "../../../functions/src/crypto/token-seal.ts";
import { isSealedWith } from "../../../functions/src/crypto/sealing.ts";
import { modify } from "../../../functions/src/store/modify.ts";
import { unlessContended } from "../../../functions/src/platform/store-error.ts";
import type { Grant, User, UserId, UserStore } from "../../../functions/src/domain/user.ts";
import { type Progress, eachUser } from "../all-users.ts";

/** What re-sealing needs of a deployment. */
export interface ResealServices {
  users: UserStore;
  tokens: TokenSeal;
  /** The id of the key that seals everything in the end. */
  primary: string;
}

/** The numbers of users, by result. */
export interface ResealReport {
  resealed: number;
  /** Nothing of theirs needed a change, or nothing is sealed. */
  already: number;
  /** Something cannot be decrypted with the ring; it was left unchanged, and alerted. */
  unreadable: number;
  /** Another writer changed the document at each attempt: run the command again. */
  unfinished: number;
  /**
   * Of all these, the users that another writer changed in the meantime: read again, nothing
   * overwritten.
   */
  changedMeanwhile: number;
  /** Documents that cannot be read as users; the log names them and their fields. */
  unreadableDocuments: number;
}

/**
 * Re-seals with the primary key what is sealed with another key or in an older format, and renews
 * the digests of the refresh tokens. Each write succeeds only if the document is still the one that
 * was read, so no concurrent sync, rotation or authorization is overwritten. It may be killed
 * anywhere and run again.
 */
export async function reseal(
  services: ResealServices,
  after: UserId | undefined,
  onProgress: (progress: Progress) => void,
): Promise<ResealReport> {
  const report: ResealReport = {
    resealed: 0,
    already: 0,
    unreadable: 0,
    unfinished: 0,
    changedMeanwhile: 0,
    unreadableDocuments: 0,
  };
  const skipped = await eachUser(services.users, after, onProgress, async (user) => {
    const { kind, isChangedMeanwhile } = await resealUser(user, services);
    report[kind] += 1;
    if (isChangedMeanwhile) report.changedMeanwhile += 1;
  });
  report.unreadableDocuments += skipped;
  return report;
}

interface Resealing {
  kind: "resealed" | "already" | "unreadable" | "unfinished" | "unreadableDocuments";
  isChangedMeanwhile: boolean;
}

async function resealUser(listed: User, services: ResealServices): Promise<Resealing> {
  let isChangedMeanwhile = false;
  let isUnreadable = false;
  const modified = await unlessContended(
    modify(
      services.users,
      listed.id,
      (user) => {
        const resealed = withPrimaryKey(user, services);
        ({ isUnreadable } = resealed);
        return resealed.grant === undefined ? "skip" : { grant: resealed.grant };
      },
      {
        what: "a re-sealed grant",
        from: listed,
        pause: () => {
          isChangedMeanwhile = true;
          return Promise.resolve();
        },
      },
    ),
  );
  if (modified === undefined) return { kind: "unfinished", isChangedMeanwhile };
  // Skipped: deleted in the meantime, of this key already, or done by a write that seemed to fail.
  const kind = modified.kind === "written" ? "resealed" : "already";
  if (modified.user !== undefined) {
    return { kind: isUnreadable ? "unreadable" : kind, isChangedMeanwhile };
  }
  const isThere = await services.users.exists(listed.id);
  return { kind: isThere ? "unreadableDocuments" : kind, isChangedMeanwhile };
}

/** Returns the user's grant, re-sealed; `undefined` when nothing changes. */
function withPrimaryKey(
  { id, grant }: User,
  { tokens, primary }: ResealServices,
): { grant: Grant | undefined; isUnreadable: boolean } {
  const changed: Partial<Grant> = {};
  let isUnreadable = false;

  const open = (purpose: TokenPurpose, sealed: Grant["refreshToken"]): string | undefined => {
    if (sealed === undefined) return undefined;
    const token = tokens.open(id, purpose, sealed);
    if (token === undefined) isUnreadable = true;
    return token;
  };
  const isOld = (sealed: Grant["refreshToken"]) =>
    sealed !== undefined && !isSealedWith(primary, sealed);

  const refreshToken = open("refresh_token", grant.refreshToken);
  if (refreshToken !== undefined) {
    if (isOld(grant.refreshToken)) {
      changed.refreshToken = tokens.seal(id, "refresh_token", refreshToken);
    }
    const digests = tokens.digests(refreshToken);
    if (!isDeepStrictEqual(digests, grant.refreshTokenDigests)) {
      changed.refreshTokenDigests = digests;
    }
  }
  const accessToken = open("access_token", grant.accessToken);
  if (accessToken !== undefined && isOld(grant.accessToken)) {
    changed.accessToken = tokens.seal(id, "access_token", accessToken);
  }
  const isSame = Object.keys(changed).length === 0;
  return { grant: isSame ? undefined : { ...grant, ...changed }, isUnreadable };
}
