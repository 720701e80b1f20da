import type { Plugin } from "esbuild";

/** A module of a client library that a start loads, and that the functions never use. */
export interface LeftOut {
  /** Below `node_modules`. */
  module: string;
  /** The package whose bundles have to contain the module, once. */
  package: string;
  /** The code that takes its place. */
  instead: string;
}

/**
 * What is left out of the functions. No upstream option does the same. `infra/docs/scale.md` says what each of them brings;
 * `test/deploy/left-out.test.ts` opens and uses the clients without them.
 */
export const LEFT_OUT: readonly LeftOut[] = [
  {
    // Descriptors are for reflection. proto-loader makes and encodes one of every message as soon as a client
    // is opened, and neither gRPC nor a client of Google reads them
    // (https://github.com/grpc/grpc-node/blob/master/packages/proto-loader/src/index.ts, `createPackageDefinition`).
    module: "protobufjs/ext/descriptor/index.js",
    package: "@grpc/proto-loader",
    instead: `
      const { Enum, Root, Type } = require("../..");
      const none = { $type: { toObject: () => undefined } };
      Root.prototype.toDescriptor = () => ({ file: [] });
      Type.prototype.toDescriptor = Enum.prototype.toDescriptor = () => none;
    `,
  },
  {
    // Every client opens one for the locations of its service
    // (https://github.com/googleapis/google-cloud-node/blob/main/core/packages/gax/src/locationService.ts).
    module: "google-gax/build/src/locationService.js",
    package: "google-gax",
    instead: `exports.LocationsClient = class LocationsClient { async close() {} };`,
  },
  {
    // And one for policies, which a deployment sets and no function reads
    // (https://github.com/googleapis/google-cloud-node/blob/main/core/packages/gax/src/iamService.ts).
    module: "google-gax/build/src/iamService.js",
    package: "google-gax",
    instead: `exports.IamClient = class IamClient { async close() {} };`,
  },
  {
    // The messages once more, as code. Of it only pipelines use one
    // (https://github.com/googleapis/google-cloud-node/blob/main/handwritten/firestore/dev/src/serializer.ts, `Value`).
    module: "@google-cloud/firestore/build/protos/firestore_v1_proto_api.js",
    package: "@google-cloud/firestore",
    instead: `exports.google = { firestore: { v1: {} } };`,
  },
  {
    // Writes trace contexts into messages, if the Pub/Sub client is told to trace, which it is not
    // (https://github.com/googleapis/google-cloud-node/blob/main/handwritten/pubsub/src/telemetry-tracing.ts).
    module: "@opentelemetry/core/build/src/index.js",
    package: "@google-cloud/pubsub",
    instead: `exports.W3CTraceContextPropagator = class W3CTraceContextPropagator {};`,
  },
  {
    // Pulls messages; the functions only publish
    // (https://github.com/googleapis/google-cloud-node/blob/main/handwritten/pubsub/src/subscriber.ts).
    module: "@google-cloud/pubsub/build/src/subscriber.js",
    package: "@google-cloud/pubsub",
    instead: `exports.SubscriberCloseBehaviors = {};`,
  },
];

/** Bundles these modules as what takes their place. Fails if a bundle has one of them more than once, or no longer. */
export function leaveOut(modules: readonly LeftOut[]): Plugin {
  return {
    name: "left out",
    setup({ onLoad, onEnd }) {
      for (const { module, instead } of modules) {
        const name = module.replaceAll(".", "\\.").replaceAll("/", "[\\\\/]");
        onLoad({ filter: new RegExp(`[\\\\/]node_modules[\\\\/]${name}$`) }, () => ({
          contents: instead,
          loader: "js",
        }));
      }
      onEnd(({ metafile }) => {
        const inputs = Object.keys(metafile?.inputs ?? {});
        const wrong = modules.filter(({ module, package: name }) => {
          const isExpected = inputs.some((input) => input.includes(`node_modules/${name}/`));
          const found = inputs.filter((input) => input.endsWith(`node_modules/${module}`)).length;
          return found !== (isExpected ? 1 : 0);
        });
        return {
          errors: wrong.map(({ module }) => ({ text: `not once in the bundle: ${module}` })),
        };
      });
    },
  };
}
