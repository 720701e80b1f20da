import { type Clock, later } from "../domain/clock.ts";
import { LOG_EVENTS, type LogEvent, type Severity } from "./log-events.ts";
import type { Log, Write } from "./log.ts";

/** Events that an anonymous caller can cause as often as it likes. */
const STRANGERS_EVENTS: ReadonlySet<string> = new Set(
  Object.entries<LogEvent>(LOG_EVENTS)
    .filter(([, { isFromStrangers }]) => isFromStrangers)
    .map(([name]) => name),
);

/** How many records of one event are written in a minute. The others are only counted. */
const RECORDS_PER_MINUTE_MAX = 10;
const MINUTE_MS = 60_000;

interface Minute {
  endsAt: Date;
  records: number;
  writeCount: (count: number) => void;
}

/**
 * Returns a log that bounds the records that strangers can cause. It writes the first records of an
 * event in a minute, and counts the others in one more record (`unlogged`), which it writes with the
 * first use of the log after that minute.
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
      <S extends Severity>(write: Write<S>): Write<S> =>
      (event, message, fields) => {
        endMinutes();
        if (!STRANGERS_EVENTS.has(event)) return write(event, message, fields);
        const minute = minutes.get(event) ?? {
          endsAt: later(clock.now(), MINUTE_MS),
          records: 0,
          writeCount: (unlogged) =>
            write(event, "more records of this event within a minute were only counted", {
              unlogged,
            }),
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
