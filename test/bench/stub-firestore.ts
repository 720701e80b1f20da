import { createRequire } from "node:module";
import {
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import { type Entry, type Key, type KeyRange, type StubIndex, createIndex } from "./stub-index.ts";
import { serveGrpc } from "./stub-server.ts";

// What it exports lazily is invisible to `import`.
const { v1 } = createRequire(import.meta.url)(
  "@google-cloud/firestore",
) as typeof import("@google-cloud/firestore");

/**
 * As much of Firestore as the receiver uses of users who are connected: queries and counts on one
 * field, by an index; reads by name; commits with preconditions on top-level fields. It takes less time than the emulator, so that what
 * is measured is the caller; and it counts.
 */
export interface StubFirestore {
  /** For `FIRESTORE_EMULATOR_HOST`. */
  host: string;
  /** Requests, and documents as Firestore bills them, since the last reset. */
  operations: Operations;
  resetOperations(): void;
  close(): void;
}

export interface Operations {
  queries: number;
  gets: number;
  /** Documents that queries and reads by name returned; an empty query counts as one. */
  documentsRead: number;
  commits: number;
  documentsWritten: number;
}

/** `google.protobuf.Timestamp` and `google.firestore.v1.Value` as grpc-js hands them over. */
interface Time {
  seconds: string;
  nanos: number;
}
interface Value {
  stringValue?: string;
  referenceValue?: string;
  timestampValue?: Time;
  mapValue?: { fields: Record<string, Value> };
}
interface StoredDocument {
  name: string;
  fields: Record<string, Value>;
  createTime: Time;
  updateTime: Time;
}
interface FieldFilter {
  field: { fieldPath: string };
  op: string;
  value: Value;
}
interface FieldRange extends KeyRange {
  fieldPath: string;
}
interface Versions {
  stored: StoredDocument | undefined;
  next: StoredDocument;
}
interface Condition {
  fieldFilter?: FieldFilter;
  compositeFilter?: { op: string; filters: Condition[] };
}
interface StructuredQuery {
  from: { collectionId: string }[];
  where: Condition | null;
  orderBy: { field: { fieldPath: string } }[];
  startAt: { values: Value[] } | null;
  limit: { value: number } | null;
}
interface RunQueryRequest {
  structuredQuery: StructuredQuery;
}
interface RunAggregationQueryRequest {
  structuredAggregationQuery: {
    structuredQuery: StructuredQuery;
    aggregations: { alias: string }[];
  };
}
interface Write {
  update: { name: string; fields: Record<string, Value> };
  updateMask: { fieldPaths: string[] } | null;
  currentDocument: { updateTime?: Time } | null;
}

const NOTHING: Operations = {
  queries: 0,
  gets: 0,
  documentsRead: 0,
  commits: 0,
  documentsWritten: 0,
};
/** The field path of a document's own name. */
const NAME = "__name__";
/** Firestore bills a count as one read for so many entries of the index. */
const COUNTED_AS_ONE = 1_000;
/** Update times are made up, a second apart. */
const FIRST_UPDATE_SECONDS = Date.UTC(2026, 0, 1) / 1_000;

export async function startStubFirestore(): Promise<StubFirestore> {
  const documents = new Map<string, StoredDocument>();
  /** By collection and field, made by the first query of that field. */
  const indexes = new Map<string, StubIndex>();
  const operations = { ...NOTHING };
  let commits = 0;

  function indexOf(collection: string, fieldPath: string): StubIndex {
    const present = indexes.get(`${collection} ${fieldPath}`);
    if (present !== undefined) return present;
    const index = createIndex(
      [...documents.values()]
        .filter(({ name }) => collectionOf(name) === collection)
        .flatMap((document) => entryOf(document, fieldPath)),
    );
    indexes.set(`${collection} ${fieldPath}`, index);
    return index;
  }

  function replaceIn(index: StubIndex, fieldPath: string, versions: Versions): void {
    const { name } = versions.next;
    const before = versions.stored && keyOf(versions.stored, fieldPath);
    const key = keyOf(versions.next, fieldPath);
    if (before === key) return;
    if (before !== undefined) index.remove(before, name);
    if (key !== undefined) index.add(key, name);
  }

  function put(next: StoredDocument): void {
    const versions = { stored: documents.get(next.name), next };
    for (const [id, index] of indexes) {
      const [collection, fieldPath = ""] = id.split(" ");
      if (collectionOf(next.name) === collection) replaceIn(index, fieldPath, versions);
    }
    documents.set(next.name, next);
  }

  function query({ from, where, orderBy, startAt, limit }: StructuredQuery): StoredDocument[] {
    operations.queries += 1;
    const collection = from[0]?.collectionId ?? "";
    const max = limit?.value ?? Infinity;
    const wanted = where === null ? [] : rangesOf(where);
    if (where === null) wanted.push({ fieldPath: orderBy[0]?.field.fieldPath ?? NAME });
    const names = new Set<string>();
    for (const { fieldPath, ...range } of wanted) {
      const index = indexOf(collection, fieldPath);
      for (const name of index.names(range, max, startAt === null ? undefined : toEntry(startAt))) {
        if (names.size < max) names.add(name);
      }
    }
    operations.documentsRead += Math.max(1, names.size);
    return [...names].map((name) => documents.get(name)).filter((found) => found !== undefined);
  }

  function count({ from, where }: StructuredQuery): number {
    operations.queries += 1;
    if (where === null) throw new Error("not a count of this stub");
    const counted = rangesOf(where).reduce(
      (sum, { fieldPath, ...range }) =>
        sum + indexOf(from[0]?.collectionId ?? "", fieldPath).count(range),
      0,
    );
    operations.documentsRead += Math.max(1, Math.ceil(counted / COUNTED_AS_ONE));
    return counted;
  }

  function get(name: string): StoredDocument | undefined {
    operations.gets += 1;
    operations.documentsRead += 1;
    return documents.get(name);
  }

  /** `undefined` when a condition does not hold. */
  function commit(writes: readonly Write[]): Time | undefined {
    operations.commits += 1;
    operations.documentsWritten += writes.length;
    const isRefused = writes.some(({ update: { name }, currentDocument }) => {
      const expected = currentDocument?.updateTime;
      return expected && documents.get(name)?.updateTime.seconds !== expected.seconds;
    });
    if (isRefused) return undefined;
    commits += 1;
    const updateTime = { seconds: String(FIRST_UPDATE_SECONDS + commits), nanos: 0 };
    for (const { update, updateMask } of writes) {
      const stored = documents.get(update.name);
      const fields = updateMask === null ? {} : { ...stored?.fields };
      for (const name of updateMask?.fieldPaths ?? Object.keys(update.fields)) {
        const value = update.fields[name];
        if (value === undefined) delete fields[name];
        else fields[name] = value;
      }
      const createTime = stored?.createTime ?? updateTime;
      put({ name: update.name, fields, createTime, updateTime });
    }
    return updateTime;
  }

  const served = await serveGrpc(v1.FirestoreClient, "google.firestore.v1.Firestore", {
    runQuery(call: ServerWritableStream<RunQueryRequest, unknown>) {
      const found = query(call.request.structuredQuery);
      if (found.length === 0) call.write({ readTime: now() });
      for (const document of found) call.write({ document, readTime: now() });
      call.end();
    },
    runAggregationQuery(call: ServerWritableStream<RunAggregationQueryRequest, unknown>) {
      const { structuredQuery, aggregations } = call.request.structuredAggregationQuery;
      const integerValue = String(count(structuredQuery));
      const aggregateFields = Object.fromEntries(
        aggregations.map(({ alias }) => [alias, { integerValue }]),
      );
      call.write({ result: { aggregateFields }, readTime: now() });
      call.end();
    },
    batchGetDocuments(call: ServerWritableStream<{ documents: string[] }, unknown>) {
      for (const name of call.request.documents) {
        const found = get(name);
        call.write({ ...(found === undefined ? { missing: name } : { found }), readTime: now() });
      }
      call.end();
    },
    commit(call: ServerUnaryCall<{ writes: Write[] }, unknown>, answer: sendUnaryData<unknown>) {
      const { writes } = call.request;
      const commitTime = commit(writes);
      if (commitTime === undefined) {
        return answer({ code: status.FAILED_PRECONDITION, details: "another update time" });
      }
      answer(null, { writeResults: writes.map(() => ({ updateTime: commitTime })), commitTime });
    },
  });
  return {
    ...served,
    operations,
    resetOperations: () => void Object.assign(operations, NOTHING),
  };
}

function now(): Time {
  const ms = Date.now();
  return { seconds: String(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 };
}

/** What a query asks for: ranges of fields, any of which a document may be in. */
function rangesOf({ fieldFilter, compositeFilter }: Condition): FieldRange[] {
  if (fieldFilter !== undefined) return [rangeOf(fieldFilter)];
  const ranges = compositeFilter?.filters.flatMap(rangesOf) ?? [];
  if (compositeFilter?.op !== "AND") return ranges;
  // All of them are of one field here.
  return [ranges.reduce((all, range) => ({ ...all, ...range }))];
}

function rangeOf({ field: { fieldPath }, op, value }: FieldFilter): FieldRange {
  const key = toKey(value);
  switch (op) {
    case "EQUAL":
      return { fieldPath, from: key, to: key };
    case "LESS_THAN_OR_EQUAL":
      return { fieldPath, to: key };
    case "GREATER_THAN_OR_EQUAL":
      return { fieldPath, from: key };
    case "GREATER_THAN":
      // Dates have whole milliseconds.
      return { fieldPath, from: typeof key === "number" ? key + 1 : key };
    default:
      throw new Error(`not a query of this stub: ${fieldPath} ${op}`);
  }
}

function entryOf(document: StoredDocument, fieldPath: string): Entry[] {
  const key = keyOf(document, fieldPath);
  return key === undefined ? [] : [{ key, name: document.name }];
}

function keyOf({ name, fields }: StoredDocument, fieldPath: string): Key | undefined {
  if (fieldPath === NAME) return name;
  let value: Value | undefined = { mapValue: { fields } };
  for (const part of fieldPath.split(".")) value = value?.mapValue?.fields[part];
  return value && toKey(value);
}

function toKey({ timestampValue: time, stringValue, referenceValue }: Value): Key | undefined {
  if (time) return Number(time.seconds) * 1_000 + time.nanos / 1e6;
  return stringValue ?? referenceValue;
}

/** The place where a page ends: a value and a name, or only a name. */
function toEntry({ values }: { values: Value[] }): Entry {
  const key = toKey(values[0] ?? {}) ?? "";
  return { key, name: values.at(-1)?.referenceValue ?? "" };
}

function collectionOf(name: string): string {
  return name.split("/").at(-2) ?? "";
}
