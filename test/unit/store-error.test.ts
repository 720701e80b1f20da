import { FailedCall } from "../../functions/src/domain/failure.ts";
import { describe, expect, it } from "vitest";
import { ReceiverError } from "../../functions/src/platform/log.ts";
import { isStoreError } from "../../functions/src/platform/store-error.ts";
import { Redeliver } from "../../functions/src/platform/http.ts";

const coded = (code: unknown) => Object.assign(new Error("said by a client"), { code });

describe("an error of the store", () => {
  it.each([1, 4, 8, 10, 13, 14, 16])("has the gRPC status code %i", (code) => {
    expect(isStoreError(coded(code))).toBe(true);
  });

  it.each([
    ["a fault in our own code", new TypeError("undefined is not a function")],
    ["an error of ours", new ReceiverError("a checkpoint could not be written")],
    ["a refusal to acknowledge", new Redeliver("again")],
    [
      "a failed call to Google",
      new FailedCall("history.list", { kind: "bad_request", reason: "x" }),
    ],
    ["an HTTP status", coded(404)],
    ["a network error", coded("ECONNREFUSED")],
    ["success", coded(0)],
    ["no whole number", coded(4.5)],
    ["an abort", new DOMException("aborted", "DataCloneError")],
    ["an object", { code: 14 }],
    ["nothing", undefined],
  ])("is not %s", (_name, error) => {
    expect(isStoreError(error)).toBe(false);
  });
});
