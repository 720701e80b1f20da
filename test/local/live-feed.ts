/** What a page is told, while it happens. */
export interface LiveFeed {
  /** An entry that is never told twice to one page, and again to a page that comes later. */
  tell(kind: string, data: unknown): void;
  /** The present state: only the latest one is of interest. */
  show(kind: string, data: unknown): void;
  /** A stream of server-sent events, from after the entry that the page had last. */
  open(lastEventId: string | undefined): ReadableStream<Uint8Array>;
  readonly isWatched: boolean;
  /** The entries that a page which comes later is told, oldest first. */
  entries(): { kind: string; data: unknown }[];
  close(): void;
}

/** Entries of one kind that a page that comes later is still told. */
const KEPT_MAX = 500;
/** Messages that wait for one page; one that reads no more is cut off, and may come again. */
const UNREAD_MAX = 5_000;

interface Entry {
  kind: string;
  serial: number;
  data: unknown;
  message: Uint8Array;
}

/**
 * Server-sent events (WHATWG HTML §9.2). `startedAt` begins every id, so that a page which outlived
 * a server is told the new one's story from its beginning.
 */
export function liveFeed(startedAt: string): LiveFeed {
  const readers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const entries: Entry[] = [];
  const states = new Map<string, { json: string; message: Uint8Array }>();
  let serial = 0;

  function send(message: Uint8Array): void {
    for (const reader of readers) {
      reader.enqueue(message);
      if ((reader.desiredSize ?? 0) > -UNREAD_MAX) continue;
      readers.delete(reader);
      reader.close();
    }
  }

  return {
    get isWatched() {
      return readers.size > 0;
    },

    tell(kind, data) {
      serial += 1;
      const message = encode(kind, JSON.stringify(data), `${startedAt}.${serial}`);
      entries.push({ kind, serial, data, message });
      const isTooMany = entries.filter((entry) => entry.kind === kind).length > KEPT_MAX;
      if (isTooMany)
        entries.splice(
          entries.findIndex((entry) => entry.kind === kind),
          1,
        );
      send(message);
    },

    entries: () => entries.map(({ kind, data }) => ({ kind, data })),

    show(kind, data) {
      const json = JSON.stringify(data);
      if (states.get(kind)?.json === json) return;
      const message = encode(kind, json);
      states.set(kind, { json, message });
      send(message);
    },

    open(lastEventId) {
      const [epoch, last] = (lastEventId ?? "").split(".");
      const known = epoch === startedAt ? Number(last) : 0;
      let own: ReadableStreamDefaultController<Uint8Array> | undefined;
      return new ReadableStream<Uint8Array>({
        start(reader) {
          own = reader;
          reader.enqueue(encode("hello", JSON.stringify({ startedAt })));
          for (const { message } of states.values()) reader.enqueue(message);
          for (const { message } of entries.filter((entry) => entry.serial > known)) {
            reader.enqueue(message);
          }
          readers.add(reader);
        },
        cancel() {
          if (own !== undefined) readers.delete(own);
        },
      });
    },

    close() {
      for (const reader of readers) reader.close();
      readers.clear();
    },
  };
}

/** JSON is one line, so one `data:` field holds it. */
function encode(kind: string, json: string, id?: string): Uint8Array {
  const idLine = id === undefined ? "" : `id: ${id}\n`;
  return new TextEncoder().encode(`event: ${kind}\n${idLine}data: ${json}\n\n`);
}
