import type { Completeness } from "../../../functions/src/domain/completeness.ts";
import { later } from "../../../functions/src/domain/clock.ts";
import type { Status, User } from "../../../functions/src/domain/user.ts";
import type { Operator } from "../operator.ts";
import { overdue } from "../overdue.ts";
import { shown } from "./user-view.ts";
import { type Terminal, duration, progress } from "../terminal.ts";
import { pagesOfUsers } from "../all-users.ts";

/** Which users `mailboxes list` shows. */
export interface ListOptions {
  status?: Status;
  reason?: string;
  address?: string;
  overdue?: true;
  behind?: true;
  /** The user must have every one of these tags, with its value. */
  tag?: Readonly<Record<string, string>>;
  /** Days from now; a lapsed watch expires within any number. */
  watchExpires?: number;
  limit: number;
}

/** Lists the users that match, as they are read: it holds only one page. */
export async function list(
  { users, clock }: Operator,
  terminal: Terminal,
  options: ListOptions,
  isJson: boolean,
): Promise<void> {
  const read = progress("users read", terminal, clock.now);
  let listed = 0;
  if (!isJson) await terminal.print(row(options.behind ? [...HEADER, "behind"] : HEADER));
  for await (const page of pagesOfUsers(users)) {
    const now = clock.now();
    for (const user of page.users.filter((it) => fits(it, options, now))) {
      if (listed === options.limit) {
        read.end();
        return terminal.note(`there are more than the ${listed} listed; see --limit`);
      }
      listed += 1;
      await terminal.print(
        isJson ? JSON.stringify(shown(user, now)) : row(cells(user, options, now)),
      );
    }
    read.add(page.users.length);
  }
  read.end();
}

function fits(user: User, options: ListOptions, now: Date): boolean {
  const { status, reason, address = "", tag = {}, watchExpires } = options;
  const { expiresAt } = user.watch;
  const isExpiring =
    watchExpires === undefined ||
    (expiresAt !== undefined && expiresAt <= later(now, watchExpires * DAY_MS));
  return (
    isExpiring &&
    (status === undefined || user.status === status) &&
    (reason === undefined || user.statusReason === reason) &&
    [user.emailAddress, user.notifiedAs].some((own) => own?.includes(address.toLowerCase())) &&
    Object.entries(tag).every(([name, value]) => user.tags?.[name] === value) &&
    (options.overdue === undefined || overdue(user, now).length > 0) &&
    (options.behind === undefined || user.sync.behindSince !== undefined)
  );
}

const DAY_MS = 86_400_000;

const HEADER = ["user id", "address", "status", "reason", "watch ends", "lag", "overdue"];
const WIDTHS = [21, 30, 24, 20, 16, 7, 10];

function cells(user: User, options: ListOptions, now: Date): string[] {
  const { id, emailAddress, status, statusReason, watch } = user;
  const { completeness } = shown(user, now);
  return [
    id,
    emailAddress,
    status,
    statusReason,
    watch.expiresAt?.toISOString().slice(0, 16) ?? "-",
    duration(completeness.lagMs),
    overdue(user, now).join(" ") || "-",
    ...(options.behind === true ? [behindFor(completeness.behind, now)] : []),
  ];
}

/** Returns since when a mailbox has been incomplete, why, and whether subscribers know. */
function behindFor(behind: Completeness["behind"], now: Date): string {
  if (behind === undefined) return "-";
  const told = behind.isTold ? ", subscribers told" : "";
  return `${duration(now.getTime() - behind.since.getTime())}, ${behind.reason}${told}`;
}

function row(columns: readonly string[]): string {
  return columns
    .map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0))
    .join("  ")
    .trimEnd();
}
