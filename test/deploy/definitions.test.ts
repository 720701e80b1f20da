import { readFileSync } from "node:fs";
import path from "node:path";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { onlyServices, spokenDefinitions } from "../../functions/definitions.ts";

/** Goal: a bundle holds less of Google's definitions, and says the same with what it holds. */

const PACKAGES = path.resolve(import.meta.dirname, "../../node_modules");
const FIRESTORE = "@google-cloud/firestore/build/protos/v1.json";
const PUBSUB = "@google-cloud/pubsub/build/protos/protos.json";
const SPOKEN: [file: string, service: string][] = [
  [FIRESTORE, "google.firestore.v1.Firestore"],
  [PUBSUB, "google.pubsub.v1.Publisher"],
  ["@google-cloud/kms/build/protos/protos.json", "google.cloud.kms.v1.KeyManagementService"],
];

function read(file: string): protobuf.INamespace {
  return JSON.parse(readFileSync(path.join(PACKAGES, file), "utf8"));
}

function rootOf(definitions: protobuf.INamespace): protobuf.Namespace {
  return protobuf.Root.fromJSON(definitions).resolveAll();
}

/** Every message that a type is made of, with its fields. */
function shapeOf(type: protobuf.Type | null, shape: Record<string, unknown> = {}) {
  if (type === null || type.fullName in shape) return shape;
  shape[type.fullName] = type.fieldsArray.map((field) => field.toJSON());
  for (const { resolvedType } of type.fieldsArray) {
    if (resolvedType instanceof protobuf.Type) shapeOf(resolvedType, shape);
    else if (resolvedType !== null) shape[resolvedType.fullName] = resolvedType.values;
  }
  return shape;
}

describe("definitions reduced to one service", () => {
  it.each(SPOKEN)("are complete: %s", (file, name) => {
    const full = rootOf(read(file)).lookupService(name);
    const kept = rootOf(onlyServices([name], read(file))).lookupService(name);
    const shape = (service: protobuf.Service) =>
      service.methodsArray.map((method) => [
        method.toJSON(),
        shapeOf(method.resolvedRequestType),
        shapeOf(method.resolvedResponseType),
      ]);
    expect(full.methodsArray.length).toBeGreaterThan(5);
    expect(shape(kept)).toEqual(shape(full));
  });

  it("are a subset of the original", () => {
    const sizeOf = (definitions: unknown) => JSON.stringify(definitions).length;
    const kept = onlyServices(["google.pubsub.v1.Publisher"], read(PUBSUB));
    expect(sizeOf(kept)).toBeLessThan(sizeOf(read(PUBSUB)) / 2);
    expect(rootOf(kept).lookup("google.pubsub.v1.Subscriber")).toBeNull();
    expect(rootOf(kept).lookup("google.pubsub.v1.PushConfig")).toBeNull();
  });

  it("write the same bytes", () => {
    const write = {
      update: {
        name: "users/1",
        fields: { a: { mapValue: { fields: { at: { timestampValue: { seconds: 5 } } } } } },
      },
      updateMask: { fieldPaths: ["a.at"] },
      currentDocument: { updateTime: { seconds: 7, nanos: 9 } },
    };
    const [full, kept] = [
      read(FIRESTORE),
      onlyServices(["google.firestore.v1.Firestore"], read(FIRESTORE)),
    ].map((definitions) => {
      const type = rootOf(definitions).lookupType("google.firestore.v1.CommitRequest");
      return type.encode(type.fromObject({ writes: [write] })).finish();
    });
    expect(full?.length).toBeGreaterThan(20);
    expect(kept).toEqual(full);
  });

  it("keep the outer message of a needed inner one", () => {
    const fields = (type: string) => ({ it: { id: 1, type } });
    const definitions: protobuf.INamespace = {
      nested: {
        Outer: {
          fields: fields("Other"),
          nested: { Inner: { fields: {} }, Unused: { fields: {} } },
        },
        Other: { fields: {} },
        Unused: { fields: {} },
        Request: { fields: fields("Outer.Inner") },
        S: { methods: { call: { requestType: "Request", responseType: "Request", comment: "" } } },
        T: { methods: { call: { requestType: "Unused", responseType: "Unused", comment: "" } } },
      },
    };
    const { nested = {} } = onlyServices(["S"], definitions);
    expect(Object.keys(nested).toSorted()).toEqual(["Other", "Outer", "Request", "S"]);
    expect(nested["Outer"]).toMatchObject({
      fields: fields("Other"),
      nested: { Inner: { fields: {} } },
    });
    expect(JSON.stringify(nested)).not.toContain("Unused");
  });

  it("keep the result of an operation, which only an option of its method names", () => {
    const kept = onlyServices(
      ["google.cloud.kms.v1.KeyManagementService"],
      read("@google-cloud/kms/build/protos/protos.json"),
    );
    const brought = "google.cloud.kms.v1.DeleteCryptoKeyMetadata";
    expect(rootOf(kept).lookup(brought)).toBeInstanceOf(protobuf.Type);
  });

  it("are empty where no service is named, and complete where the file has no service", () => {
    const spoken = SPOKEN.map(([, name]) => name);
    const admin = "@google-cloud/firestore/build/protos/admin_v1.json";
    expect(onlyServices(spoken, read(admin))).toEqual({});
    const details = read("google-gax/build/protos/status.json");
    expect(onlyServices(spoken, details)).toBe(details);
  });
});

describe("the plugin that reduces them", () => {
  it.each(["/", "\\"])("finds the definitions where folders are separated by %s", (separator) => {
    const filters: RegExp[] = [];
    const onLoad = ({ filter }: { filter: RegExp }) => void filters.push(filter);
    // Only this part of esbuild's interface is used.
    void spokenDefinitions([]).setup({ onLoad } as never);
    const found = ["build/protos/v1.json", "build/protos/protos.js"].map((file) => {
      const name = ["C:", "node_modules", ...file.split("/")].join(separator);
      return filters.map((filter) => filter.test(name));
    });
    expect(found).toEqual([
      [true, false],
      [false, true],
    ]);
  });
});

it("are checked out with line feeds, without which no shell runs them", () => {
  expect(readFileSync(".gitattributes", "utf8")).toContain("* text=auto eol=lf\n");
});
