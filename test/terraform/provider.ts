import { Server, ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { type BlockSchema, type GoogleSchema, membersOf } from "./google-schema.ts";
import {
  type Field,
  UNKNOWN,
  type Value,
  type ValueObject,
  decodeMessage,
  decodeValue,
  encodeMessage,
  encodeValue,
} from "./wire.ts";

export interface TerraformProvider {
  /** For a process of Terraform: with it, Terraform uses this provider and downloads none. */
  env: Record<string, string>;
  close(): void;
}

/** Both have the same resources here. */
const ADDRESSES = ["google", "google-beta"].map(
  (name) => `registry.terraform.io/hashicorp/${name}`,
);

/**
 * A provider that knows what may be written and makes nothing: enough for Terraform to validate, to
 * plan and to apply (Terraform plugin protocol 5, reattached as for debugging). What Google would
 * compute is `known`, made by the schema, or `unknown` until it is applied, as in a real plan.
 */
export async function startTerraformProvider(
  schema: GoogleSchema,
  computed: "known" | "unknown",
): Promise<TerraformProvider> {
  const server = new Server();
  const methods = methodsOf(schema, computed);
  const definition = Object.keys(methods).map((name) => [
    name,
    {
      path: `/tfplugin5.Provider/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: Buffer.from,
      requestDeserialize: decodeMessage,
      responseSerialize: encodeMessage,
      responseDeserialize: decodeMessage,
    },
  ]);
  server.addService(Object.fromEntries(definition), methods);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const reattach = {
    Protocol: "grpc",
    ProtocolVersion: 5,
    Pid: process.pid,
    Test: true,
    Addr: { Network: "tcp", String: `127.0.0.1:${port}` },
  };
  return {
    env: {
      TF_REATTACH_PROVIDERS: JSON.stringify(
        Object.fromEntries(ADDRESSES.map((address) => [address, reattach])),
      ),
    },
    close: () => server.forceShutdown(),
  };
}

type Request = Map<number, Buffer>;

function methodsOf(
  schema: GoogleSchema,
  computed: "known" | "unknown",
): UntypedServiceImplementation {
  const answers: Record<string, (request: Request) => readonly Field[]> = {
    GetSchema: () => [
      [1, schemaMessage(schema.provider, {})],
      ...Object.entries(schema.resources).map(([type, block]): Field => {
        return [2, mapEntry(type, schemaMessage(block, schema.computed[type] ?? {}))];
      }),
      ...Object.entries(schema.data).map(([type, block]): Field => {
        return [3, mapEntry(type, schemaMessage(block, schema.computed[`data.${type}`] ?? {}))];
      }),
    ],
    PrepareProviderConfig: (request) => [[1, request.get(1) ?? Buffer.of()]],
    ValidateResourceTypeConfig: () => [],
    ValidateDataSourceConfig: () => [],
    Configure: () => [],
    UpgradeResourceState: (request) => {
      const json = decodeMessage(request.get(3) ?? Buffer.of()).get(1) ?? Buffer.of();
      return [[1, encodeMessage([[2, json]])]];
    },
    ReadResource: (request) => [[1, request.get(2) ?? Buffer.of()]],
    PlanResourceChange: (request) => {
      const type = String(request.get(1));
      const prior = stateIn(request.get(2));
      const proposed = withoutWriteOnly(stateIn(request.get(3)), schema.resources[type] ?? {});
      if (!isObject(prior) || !isObject(proposed)) {
        return [[1, completed(proposed, schema.computed[type] ?? {}, computed)]];
      }
      const replaced = (schema.fixed[type] ?? []).filter((name) => prior[name] !== proposed[name]);
      return [
        [1, encodeMessage([[1, encodeValue(proposed)]])],
        ...replaced.map((name): Field => [2, attributePath(name)]),
      ];
    },
    ApplyResourceChange: (request) => {
      const type = String(request.get(1));
      return [[1, completed(stateIn(request.get(3)), schema.computed[type] ?? {}, "known")]];
    },
    ReadDataSource: (request) => {
      const type = `data.${String(request.get(1))}`;
      // What is there already is known in a real plan too.
      return [[1, completed(stateIn(request.get(2)), schema.computed[type] ?? {}, "known")]];
    },
    Stop: () => [],
  };
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [
      name,
      (call: { request: Request }, reply: (error: Error | null, fields?: unknown) => void) => {
        try {
          reply(null, answer(call.request));
        } catch (error) {
          reply(error instanceof Error ? error : new Error(String(error)));
        }
      },
    ]),
  );
}

/** `Schema`: a version and the block. */
function schemaMessage(block: BlockSchema, computed: Readonly<Record<string, string>>): Buffer {
  return encodeMessage([[2, blockMessage(block, Object.keys(computed))]]);
}

/** `Schema.Block`; `computed` names what the provider adds, `block.attribute` one level down. */
function blockMessage(block: BlockSchema, computed: readonly string[]): Buffer {
  const attribute = (name: string, type: string, ...marks: Field[]) =>
    encodeMessage([[1, name], [2, JSON.stringify(ctyType(type))], ...marks]);
  const fields = membersOf(block).map(({ name, isRequired, isWriteOnly, holds }): Field => {
    if (typeof holds === "string") {
      const presence: Field = isRequired ? [4, true] : [5, true];
      return [2, attribute(name, holds, presence, [10, isWriteOnly])];
    }
    const nested = computed
      .filter((path) => path.startsWith(`${name}.`))
      .map((path) => path.slice(name.length + 1));
    const isList: Field = [3, 2];
    return [
      3,
      encodeMessage([[1, name], [2, blockMessage(holds, nested)], isList, [4, isRequired]]),
    ];
  });
  const added = computed
    .filter((path) => !path.includes("."))
    .map((name): Field => [2, attribute(name, "string", [6, true])]);
  return encodeMessage([...fields, ...added]);
}

function ctyType(type: string): unknown {
  const [, kind, element] = /^(list|map)\((\w+)\)$/.exec(type) ?? [];
  return kind === undefined ? type : [kind, element];
}

function mapEntry(key: string, value: Buffer): Buffer {
  return encodeMessage([
    [1, key],
    [2, value],
  ]);
}

/** What a `DynamicValue` holds. */
function stateIn(dynamicValue: Buffer | undefined): Value {
  return decodeValue(decodeMessage(dynamicValue ?? Buffer.of()).get(1) ?? Buffer.of());
}

/** The SDK of real providers does this: Terraform refuses a plan or a state with a write-only value in it. */
function withoutWriteOnly(state: Value, block: BlockSchema): Value {
  if (!isObject(state)) return state;
  const names = membersOf(block).filter(({ isWriteOnly }) => isWriteOnly);
  return { ...state, ...Object.fromEntries(names.map(({ name }) => [name, null])) };
}

/** An `AttributePath` of one step. */
function attributePath(name: string): Buffer {
  return encodeMessage([[1, encodeMessage([[1, name]])]]);
}

/** A `DynamicValue` with what Google adds. */
function completed(
  state: Value,
  computed: Readonly<Record<string, string>>,
  how: "known" | "unknown",
): Buffer {
  // Null: it is to be destroyed.
  if (isObject(state)) {
    for (const [path, template] of Object.entries(computed)) {
      const [block, nested] = path.split(".");
      const targets = nested === undefined ? [state] : state[block ?? ""];
      for (const target of Array.isArray(targets) ? targets : []) {
        if (isObject(target)) {
          target[nested ?? path] = how === "known" ? fill(template, state) : UNKNOWN;
        }
      }
    }
  }
  return encodeMessage([[1, encodeValue(state)]]);
}

function fill(template: string, state: ValueObject): string | typeof UNKNOWN {
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
  if (names.some((name) => state[name] === UNKNOWN)) return UNKNOWN;
  return template.replace(/\{(\w+)\}/g, (_, name: string) => String(state[name]));
}

function isObject(value: Value | undefined): value is ValueObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
