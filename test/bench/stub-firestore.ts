import { createRequire } from "node:module";
import {
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import { serveGrpc } from "./stub-server.ts";

// What it exports lazily is invisible to `import`.
const { v1 } = createRequire(import.meta.url)(
  "@google-cloud/firestore",
) as typeof import("@google-cloud/firestore");

/**
 * As much of Firestore as a notification and a renewal use: queries on one field, reads by name,
 * commits with preconditions on top-level fields. It takes less time than the emulator, so that what
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
  timestampValue?: Time;
  mapValue?: { fields: Record<string, Value> };
}
interface StoredDocument {
  name: string;
  fields: Record<string, Value>;
  createTime: Time;
  updateTime: Time;
}
interface Condition {
  fieldFilter?: { field: { fieldPath: string }; op: string; value: Value };
  compositeFilter?: { op: string; filters: Condition[] };
}
interface RunQueryRequest {
  structuredQuery: {
    where: Condition;
    limit: { value: number } | null;
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
/** Update times are made up, a second apart. */
const FIRST_UPDATE_SECONDS = Date.UTC(2026, 0, 1) / 1_000;

export async function startStubFirestore(): Promise<StubFirestore> {
  const documents = new Map<string, StoredDocument>();
  const byAddress = new Map<string, StoredDocument>();
  const operations = { ...NOTHING };
  let commits = 0;

  function query({ structuredQuery: { where, limit } }: RunQueryRequest): StoredDocument[] {
    operations.queries += 1;
    // A due list is "has come, or too far ahead": no date here is ever the latter. Of the two addresses only the
    // first is ever stored here.
    const { fieldFilter } = where.compositeFilter?.filters[0] ?? where;
    if (fieldFilter === undefined) throw new Error("not a query of this stub");
    const { field, op, value } = fieldFilter;
    const { fieldPath } = field;
    const found: StoredDocument[] = [];
    if (op === "EQUAL" && fieldPath === "emailAddress") {
      const holder = byAddress.get(value.stringValue ?? "");
      if (holder !== undefined) found.push(holder);
    } else if (op === "LESS_THAN_OR_EQUAL" || op === "GREATER_THAN_OR_EQUAL") {
      const [map = "", name = ""] = fieldPath.split(".");
      // The mailboxes that are incomplete are asked for between two dates.
      const isBetween = op === "GREATER_THAN_OR_EQUAL";
      const since = isBetween ? toNumber(value.timestampValue) : -Infinity;
      const last = isBetween ? where.compositeFilter?.filters[1]?.fieldFilter : fieldFilter;
      if (last?.op !== "LESS_THAN_OR_EQUAL") throw new Error(`not a query of this stub: ${op}`);
      const until = toNumber(last.value.timestampValue);
      // The least recently written first: whoever was dealt with stands at the end, and is no
      // longer due. So the list begins where a reading before it ended, without its cursor.
      for (const document of documents.values()) {
        if (found.length === limit?.value) break;
        const at = document.fields[map]?.mapValue?.fields[name]?.timestampValue;
        if (at === undefined || toNumber(at) < since || toNumber(at) > until) continue;
        found.push(document);
      }
    } else throw new Error(`not a query of this stub: ${fieldPath} ${op}`);
    operations.documentsRead += Math.max(1, found.length);
    return found;
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
      const document = { name: update.name, fields, createTime, updateTime };
      documents.delete(update.name);
      documents.set(update.name, document);
      byAddress.set(fields["emailAddress"]?.stringValue ?? "", document);
    }
    return updateTime;
  }

  const served = await serveGrpc(v1.FirestoreClient, "google.firestore.v1.Firestore", {
    runQuery(call: ServerWritableStream<RunQueryRequest, unknown>) {
      const found = query(call.request);
      if (found.length === 0) call.write({ readTime: now() });
      for (const document of found) call.write({ document, readTime: now() });
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

function toNumber(time: Time | undefined): number {
  return time === undefined ? Number.NaN : Number(time.seconds) + time.nanos / 1e9;
}
