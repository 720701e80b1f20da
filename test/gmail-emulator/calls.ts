/** One call that reached Google. It never holds a token. */
export interface Call {
  /** Like `history.list`, `users.watch`, `token.refresh`, `token.code`, `revoke`. */
  readonly method: string;
  /** The address of the account it was for, where the caller could be recognized. */
  readonly account?: string;
  /** What was answered; 0 when the connection was dropped instead. */
  readonly status: number;
  readonly at: number;
  /** How long it took, in real time. */
  readonly durationMs: number;
}

export interface CallLog {
  readonly calls: readonly Call[];
  record(call: Call): void;
  count(method?: string, account?: string): number;
  reset(): void;
}

/** Beyond this the older half is forgotten, so that an emulator may run for days. */
const CALLS_MAX = 1_000_000;

export function createCallLog(): CallLog {
  const calls: Call[] = [];
  return {
    calls,
    record(call) {
      if (calls.length >= CALLS_MAX) calls.splice(0, CALLS_MAX / 2);
      calls.push(call);
    },
    count: (method, account) =>
      calls.filter(
        (call) =>
          (method === undefined || isMethod(call.method, method)) &&
          (account === undefined || call.account?.toLowerCase() === account.toLowerCase()),
      ).length,
    reset: () => void calls.splice(0),
  };
}

const GMAIL_GROUPS = ["history", "users", "messages", "labels", "threads", "drafts", "settings"];

/** `token` means every call of the token endpoint; `gmail` every Gmail method; `*` everything. */
export function isMethod(method: string, pattern: string): boolean {
  if (pattern === "*" || method === pattern || method.startsWith(`${pattern}.`)) return true;
  return pattern === "gmail" && GMAIL_GROUPS.some((group) => method.startsWith(`${group}.`));
}
