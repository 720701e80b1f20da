import { once } from "node:events";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { answerQuery } from "./documents.ts";
import type { CloudState, Policy } from "./state.ts";

/** Google Cloud's administration on loopback, for one project: `GOOGLE_CLOUD_EMULATOR_HOST`. */
export interface CloudEmulator {
  /** `127.0.0.1:PORT`. */
  host: string;
  state: CloudState;
  /** What was asked so far, and what was answered. */
  requests: Exchange[];
  close(): Promise<void>;
}

export interface Exchange {
  method: string;
  /** With the query. */
  path: string;
  status: number;
  answer: unknown;
}

interface Answer {
  status: number;
  body: unknown;
}

const LOOPBACK = "127.0.0.1";
/** Resources that a list is made of, by the last word of its address. */
const LISTS = new Set(["functions", "runtimes", "jobs", "versions", "locations"]);

export async function startCloudEmulator(state: CloudState): Promise<CloudEmulator> {
  const requests: Exchange[] = [];
  const server: Server = createServer(async (request, response) => {
    const { method = "", url = "" } = request;
    const body = await text(request);
    const { status, body: answer } = answerTo(state, method, url, body);
    requests.push({ method, path: url, status, answer });
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  });
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    host: `${LOOPBACK}:${port}`,
    state,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function answerTo(state: CloudState, method: string, url: string, body: string): Answer {
  const { pathname, searchParams } = new URL(url, "http://loopback");
  const path = decodeURIComponent(pathname.slice(1));
  if (state.denied?.test(path)) {
    return refused(403, "PERMISSION_DENIED", `The caller may not ask for ${path}.`);
  }
  const api = apiOf(path);
  if (api !== undefined && !state.services.has(api)) {
    const answer = refused(403, "PERMISSION_DENIED", `${api} has not been used in this project.`);
    return withReason(answer, "SERVICE_DISABLED");
  }
  const [, name = path, verb] = /^(.*):(\w+)$/.exec(path) ?? [];
  if (method === "POST") return answerToPost(state, name, verb ?? "", body);
  if (method !== "GET") return refused(405, "UNIMPLEMENTED", "This emulator changes nothing.");
  if (path.startsWith("v1beta/stream")) return answerStream(state, path);
  switch (verb) {
    case "batchGet":
      return ok({ services: searchParams.getAll("names").map((each) => serviceOf(state, each)) });
    case "getEffectivePolicy":
      // Without a policy of the organization, everything is allowed.
      return ok(state.resources.get(name) ?? { spec: { rules: [{ allowAll: true }] } });
    case "getIamPolicy":
      return state.resources.has(name) ? ok(state.policies.get(name) ?? {}) : notFound(name);
    case "access":
      return access(state, name);
    default:
      return answerToGet(state, path);
  }
}

function answerToGet({ resources }: CloudState, path: string): Answer {
  const last = path.slice(path.lastIndexOf("/") + 1);
  if (path.endsWith("/subscriptions")) {
    const topic = path.slice("v1/".length, -"/subscriptions".length);
    if (!resources.has(`v1/${topic}`)) return notFound(path);
    const names = [...resources.values()].filter((each) => each["topic"] === topic);
    return ok(names.length > 0 ? { subscriptions: names.map(({ name }) => name) } : {});
  }
  if (LISTS.has(last)) {
    const items = [...resources]
      .filter(([name]) => name.startsWith(`${path}/`) && !name.slice(path.length + 1).includes("/"))
      .map(([, item]) => item);
    return ok(items.length > 0 ? { [last]: items } : {});
  }
  const found = resources.get(path);
  if (found !== undefined) return ok(found);
  const [, database = "", field = ""] =
    /^(v1\/.*\/databases\/[^/]+)\/(collectionGroups\/.*)$/.exec(path) ?? [];
  if (field === "" || !resources.has(database)) return notFound(path);
  // Every field has a configuration: without one of its own, that of all fields.
  const name = path.slice("v1/".length);
  return ok({ name, indexConfig: { usesAncestorConfig: true, indexes: [] } });
}

function answerToPost(state: CloudState, name: string, verb: string, body: string): Answer {
  const given = JSON.parse(body || "{}") as Record<string, unknown>;
  switch (verb) {
    case "getIamPolicy": {
      const { requestedPolicyVersion = 1 } = (given["options"] ?? {}) as Record<string, number>;
      const policy = state.policies.get(name) ?? { bindings: [] };
      return state.resources.has(name)
        ? ok(seenAs(requestedPolicyVersion, policy))
        : notFound(name);
    }
    case "decrypt": {
      const plaintext = state.plaintexts.get(`${name} ${String(given["ciphertext"])}`);
      if (!state.resources.has(name)) return notFound(name);
      return plaintext === undefined
        ? refused(400, "INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid.")
        : ok({ plaintext: Buffer.from(plaintext).toString("base64") });
    }
    case "testIamPermissions": {
      const permissions = (given["permissions"] as string[]).filter(
        (each) => !state.lacking.has(each),
      );
      return ok(permissions.length > 0 ? { permissions } : {});
    }
    case "runQuery":
    case "runAggregationQuery":
      return ok(answerQuery(state.users, given));
    default:
      return refused(405, "UNIMPLEMENTED", "This emulator changes nothing.");
  }
}

/** Below version 3, IAM hides a condition, and the binding's role behind another name. */
function seenAs(version: number, { bindings }: Policy) {
  return {
    bindings: bindings.map(({ condition, ...rest }, index) => {
      if (condition === undefined) return rest;
      if (version >= 3) return { ...rest, condition };
      return { ...rest, role: `${rest.role}_withcond_${index}` };
    }),
  };
}

function access({ resources, payloads }: CloudState, name: string): Answer {
  const version = resources.get(name);
  if (version === undefined) return notFound(name);
  if (version["state"] !== "ENABLED") {
    return refused(
      400,
      "FAILED_PRECONDITION",
      `[${name}] is in ${String(version["state"])} state.`,
    );
  }
  const data = Buffer.from(payloads.get(name) ?? "").toString("base64");
  return ok({ name: name.slice("v1/".length), payload: { data } });
}

function answerStream({ stream }: CloudState, path: string): Answer {
  if (stream === undefined) return refused(404, "NOT_FOUND", "Project has no RISC configuration.");
  const { url, status, events } = stream;
  const delivery_method = "https://schemas.openid.net/secevent/risc/delivery-method/push";
  if (path.endsWith("/status")) return ok({ status });
  return ok({ delivery: { delivery_method, url }, events_requested: events });
}

function serviceOf({ services }: CloudState, name: string) {
  const id = name.slice(name.lastIndexOf("/") + 1);
  return { name, config: { name: id }, state: services.has(id) ? "ENABLED" : "DISABLED" };
}

/** Whose path this is; `undefined` for what every project can ask. */
function apiOf(path: string): string | undefined {
  const found = (
    [
      [/^v2\/.*\/(functions|runtimes)/, "cloudfunctions"],
      [/^v2\/.*\/services\//, "run"],
      [/^v2\/projects\/[^/]+\/sinks/, "logging"],
      [/^v1\/projects\/[^/]+\/(topics|subscriptions)/, "pubsub"],
      [/^v1\/.*\/jobs/, "cloudscheduler"],
      [/^v1\/projects\/[^/]+\/secrets/, "secretmanager"],
      [/^v1\/.*\/keyRings/, "cloudkms"],
      [/^v1\/.*\/databases/, "firestore"],
      [/^v1\/.*\/repositories/, "artifactregistry"],
      [/^v1\/projects\/[^/]+\/(releases|rulesets)/, "firebaserules"],
    ] as const
  ).find(([pattern]) => pattern.test(path));
  return found === undefined ? undefined : `${found[1]}.googleapis.com`;
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}

function notFound(name: string): Answer {
  return refused(404, "NOT_FOUND", `${name} was not found.`);
}

function refused(code: number, status: string, message: string) {
  return { status: code, body: { error: { code, message, status } } };
}

function withReason({ status, body }: ReturnType<typeof refused>, reason: string): Answer {
  const details = [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason }];
  return { status, body: { error: { ...body.error, details } } };
}
