/** What one Google Cloud project holds, as its APIs would tell of it: data that a test changes. */
export interface CloudState {
  /** Resources in the JSON of their API, by version and name: `v2/projects/P/locations/R/functions/F`. */
  resources: Map<string, Resource>;
  /** IAM policies, by the same names. A resource without one has an empty policy. */
  policies: Map<string, Policy>;
  /** Services that are enabled; the others refuse every call. */
  services: Set<string>;
  /** What versions of secrets hold, by the names of their resources. */
  payloads: Map<string, string>;
  /** What Cloud KMS opens: plaintexts by key and ciphertext (base64). */
  plaintexts: Map<string, string>;
  /** Documents of `users`, with their fields as Firestore's REST API writes them, by id. */
  users: Map<string, Fields>;
  /** The RISC stream, when there is one. */
  stream?: { url: string; status: string; events: string[] };
  /** Permissions that the caller does not have. */
  lacking: Set<string>;
  /** Requests with a path like this are refused for want of a permission. */
  denied: RegExp | undefined;
}

export type Resource = Record<string, unknown>;
export type Fields = Record<string, unknown>;

export interface Policy {
  bindings: { role: string; members: string[]; condition?: object }[];
}

/** By its name's end, as long as there is one alone; to be changed in place. */
export function resource(state: CloudState, end: string): Resource {
  const found = [...state.resources].filter(([name]) => name.endsWith(end));
  const [one] = found;
  if (one === undefined || found.length > 1)
    throw new Error(`${found.length} resources end in ${end}`);
  return one[1];
}

/** Takes a resource away, with all below it; its name's end has to be that of one alone. */
export function remove(state: CloudState, end: string): void {
  const wanted = resource(state, end);
  const [name = ""] = [...state.resources].find(([, each]) => each === wanted) ?? [];
  for (const each of state.resources.keys()) {
    if (each === name || each.startsWith(`${name}/`)) state.resources.delete(each);
  }
}

/** The policy of a resource; to be changed in place. */
export function policy(state: CloudState, end: string): Policy {
  const found = [...state.policies].filter(([name]) => name.endsWith(end));
  const [one] = found;
  if (one === undefined || found.length > 1)
    throw new Error(`${found.length} policies end in ${end}`);
  return one[1];
}

/** Takes a member out of every binding of a policy. */
export function forbid(state: CloudState, end: string, member: RegExp): void {
  for (const binding of policy(state, end).bindings) {
    binding.members = binding.members.filter((each) => !member.test(each));
  }
}
