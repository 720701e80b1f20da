import { type Clock, later } from "./clock.ts";
import type { Log } from "./log.ts";

/** Events that an anonymous caller can cause as often as it likes. */
const STRANGERS_EVENTS: ReadonlySet<string> = new Set([
  "authorization_failed",
  "authorization_refused",
  "ticket_refused",
  "callback_without_cookie",
  "client_limited",
  "library_error",
  "library_warning",
  "request_failed",
  "security_event_failed",
  "security_event_retry",
  "security_event_refused",
]);

/** Records of one event in a minute; the others are counted. */
const RECORDS_PER_MINUTE_MAX = 10;
const MINUTE_MS = 60_000;

interface Minute {
  endsAt: Date;
  records: number;
  writeCount: (count: number) => void;
}

/**
 * The same log, in which what strangers cause is bounded: the first records of an event in a minute
 * are written, and the number of the others in one more (`unlogged`), as soon as anything is logged
 * or asked for after that minute.
 */
export function sampleRepeats(log: Log, clock: Clock): Log {
  const minutes = new Map<string, Minute>();

  function endMinutes(): void {
    const now = clock.now();
    for (const [event, { endsAt, records, writeCount }] of minutes) {
      if (now < endsAt) continue;
      minutes.delete(event);
      if (records > RECORDS_PER_MINUTE_MAX) writeCount(records - RECORDS_PER_MINUTE_MAX);
    }
  }

  function sampled(inner: Log): Log {
    const at =
      (write: Log["info"]): Log["info"] =>
      (event, message, fields) => {
        endMinutes();
        if (!STRANGERS_EVENTS.has(event)) return write(event, message, fields);
        const minute = minutes.get(event) ?? {
          endsAt: later(clock.now(), MINUTE_MS),
          records: 0,
          writeCount: (unlogged) =>
            write(event, "the same came again within a minute, and was only counted", { unlogged }),
        };
        minutes.set(event, minute);
        minute.records += 1;
        if (minute.records <= RECORDS_PER_MINUTE_MAX) write(event, message, fields);
      };
    return {
      debug: at(inner.debug),
      info: at(inner.info),
      warn: at(inner.warn),
      error: at(inner.error),
      alert: at(inner.alert),
      with(fields) {
        endMinutes();
        return sampled(inner.with(fields));
      },
    };
  }

  return sampled(log);
}
