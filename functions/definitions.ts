import { readFileSync } from "node:fs";
import type { Plugin } from "esbuild";
import protobuf from "protobufjs";

/**
 * Keeps only the named services, such as `google.pubsub.v1.Publisher`, in the protobuf definitions of a
 * bundle. Before its first call, a client of Google prepares every message of every service in its
 * definitions, including those for administration, policies, locations and operations.
 */
export function spokenDefinitions(services: readonly string[]): Plugin {
  return {
    name: "spoken definitions",
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]protos[\\/]\w+\.json$/ }, ({ path }) => ({
        contents: JSON.stringify(onlyServices(services, JSON.parse(readFileSync(path, "utf8")))),
        loader: "json",
      }));
      // The same definitions as code. The packages only export it, and nothing here uses it.
      onLoad({ filter: /[\\/]protos[\\/](protos|iam_service|locations|operations)\.js$/ }, () => ({
        contents: "module.exports = {};",
      }));
    },
  };
}

const OPERATION_TYPES = [
  "(google.longrunning.operation_info).response_type",
  "(google.longrunning.operation_info).metadata_type",
];

/**
 * Returns definitions in the JSON of protobuf.js, reduced to these services and the messages that they
 * use. Definitions without any service, such as those of error details, stay as they are.
 */
export function onlyServices(
  services: readonly string[],
  definitions: protobuf.INamespace,
): protobuf.INamespace {
  const root = protobuf.Root.fromJSON(definitions).resolveAll();
  const all = servicesIn(root);
  if (all.length === 0) return definitions;
  const kept = new Set<protobuf.ReflectionObject>();
  const keep = (object: protobuf.ReflectionObject | null) => {
    if (object === null || kept.has(object)) return;
    kept.add(object);
    keep(object.parent);
    const fields = object instanceof protobuf.Type ? object.fieldsArray : [];
    for (const { resolvedType } of fields) keep(resolvedType);
  };
  for (const service of all.filter(({ fullName }) => services.includes(fullName.slice(1)))) {
    keep(service);
    for (const { resolvedRequestType, resolvedResponseType, options } of service.methodsArray) {
      keep(resolvedRequestType);
      keep(resolvedResponseType);
      // A client looks for what an operation brings as soon as it is made.
      const named = OPERATION_TYPES.map((option) => options?.[option]);
      for (const name of named) if (name) keep(service.lookup(name));
    }
  }
  return cut(definitions, root, kept);
}

function servicesIn({ nestedArray }: protobuf.NamespaceBase): protobuf.Service[] {
  return nestedArray.flatMap((each) => {
    if (each instanceof protobuf.Service) return [each];
    return each instanceof protobuf.Namespace ? servicesIn(each) : [];
  });
}

function cut<Json extends protobuf.INamespace>(
  { nested, ...rest }: Json,
  namespace: protobuf.NamespaceBase,
  kept: ReadonlySet<protobuf.ReflectionObject>,
): Json {
  const left = Object.entries(nested ?? {}).flatMap(([name, json]) => {
    const object = namespace.get(name);
    if (object === null || !kept.has(object)) return [];
    return [[name, object instanceof protobuf.Namespace ? cut(json, object, kept) : json]];
  });
  return { ...rest, ...(left.length > 0 && { nested: Object.fromEntries(left) }) } as Json;
}
