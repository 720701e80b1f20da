import { createLog } from "../../functions/src/platform/log.ts";
import type { Scenario } from "./scenario.ts";

/**
 * Google refuses the next refresh of a user twice, because another run has had the refresh token
 * replaced. That run stores the new one between the second refusal and the next read but one of the
 * document. Returns how many reads there were since the refusal.
 */
export async function replaceDuringRefusal({ users, emulator, operator }: Scenario): Promise<{
  reads(): number;
}> {
  const { tokens } = await operator({ log: createLog(() => {}) }).getContext();
  emulator.faults.failNext({ method: "token.refresh", count: 2, preset: "invalidGrant" });
  emulator.resetCalls();
  const { find } = users;
  let reads = 0;
  users.find = async (id) => {
    const user = await find(id);
    if (emulator.countCalls("token.refresh") === 2) reads += 1;
    // The first read still confirms the refusal; before the next, the other run has stored its token.
    const sealed = user?.grant.refreshToken;
    if (user === undefined || sealed === undefined || reads !== 2) return user;
    const token = tokens.open(id, "refresh_token", sealed) ?? "";
    const refreshToken = tokens.seal(id, "refresh_token", token);
    await users.update(user, { grant: { ...user.grant, refreshToken } });
    return find(id);
  };
  return { reads: () => reads };
}
