import { z } from "zod";
import type { Cloud } from "./cloud.ts";
import { Unchecked } from "./verdict.ts";

/** IAM's policy of one resource. */
export const Policy = z.object({
  bindings: z
    .array(
      z.object({
        role: z.string(),
        members: z.array(z.string()).default([]),
        condition: z.looseObject({ expression: z.string().default("") }).optional(),
      }),
    )
    .default([]),
});
/** The policy of one resource. */
export type Policy = z.infer<typeof Policy>;

/**
 * What an account has to be allowed to do: the role that a deployment grants, and other roles that
 * include it.
 */
const RIGHTS = {
  publish: roles("pubsub.publisher", "pubsub.editor", "pubsub.admin", "editor"),
  subscribe: roles("pubsub.subscriber", "pubsub.editor", "pubsub.admin", "editor"),
  invoke: roles("run.invoker", "run.servicesInvoker", "run.admin", "editor"),
  readSecret: roles("secretmanager.secretAccessor", "secretmanager.admin"),
  decrypt: roles("cloudkms.cryptoKeyDecrypter", "cloudkms.cryptoKeyEncrypterDecrypter"),
  storeImage: roles(
    "cloudbuild.builds.builder",
    "artifactregistry.writer",
    "artifactregistry.admin",
    "editor",
  ),
  useDatabase: roles("datastore.user", "datastore.owner", "editor"),
} as const;
/** A permission that the doctor checks. */
export type Right = keyof typeof RIGHTS;

/** Returns the role that grants a right and nothing more. */
function roleFor(right: Right): string {
  return RIGHTS[right][0];
}

function roles(given: string, ...wider: string[]): readonly [string, ...string[]] {
  return [`roles/${given}`, ...[...wider, "owner"].map((role) => `roles/${role}`)];
}

/** The members that mean everyone, signed in at Google or not. */
export const EVERYBODY = ["allUsers", "allAuthenticatedUsers"];

/** Returns the condition that grants a right only on the resource of this full name. */
export function onlyOn(name: string): string {
  return `resource.name=="${name}"`;
}

/**
 * Returns whether the policies grant the right to this member by name, without a condition or with
 * the given one.
 */
export function isAllowed(
  right: Right,
  member: string,
  policies: readonly Policy[],
  met?: string,
): boolean {
  const bindings = bindingsOf(member, policies);
  return bindings.some(({ role, condition }) => {
    return RIGHTS[right].includes(role) && (condition === undefined || isMet(condition, met));
  });
}

/** Returns whether one of the policies grants the right with exactly this condition. */
export function isAllowedIf(
  right: Right,
  member: string,
  policies: readonly Policy[],
  met: string,
): boolean {
  return bindingsOf(member, policies).some(({ role, condition }) => {
    return RIGHTS[right].includes(role) && condition !== undefined && isMet(condition, met);
  });
}

function isMet({ expression }: { expression: string }, met: string | undefined): boolean {
  return expression.replaceAll(/\s/g, "") === met;
}

/**
 * Returns the accounts that have a right neither by the resource's own policy nor by the project's.
 * A custom role, or one with a condition, may grant it: then the answer is unknown, and it throws
 * {@link Unchecked}. The project's policy is read only if it matters.
 */
export async function withoutRight(
  right: Right,
  accounts: readonly string[],
  own: Policy | undefined,
  readProjectPolicy: () => Promise<Policy>,
  met?: string,
): Promise<string[]> {
  const policies = own === undefined ? [] : [own];
  const open = [...new Set(accounts)].filter((account) => {
    return !isAllowed(right, `serviceAccount:${account}`, policies, met);
  });
  if (open.length === 0) return [];
  policies.push(await readProjectPolicy());
  const lacking = open.filter((account) => {
    return !isAllowed(right, `serviceAccount:${account}`, policies, met);
  });
  for (const account of lacking) {
    const unclear = bindingsOf(`serviceAccount:${account}`, policies).find(
      ({ role, condition }) =>
        !role.startsWith("roles/") || (condition !== undefined && RIGHTS[right].includes(role)),
    );
    if (unclear !== undefined) {
      throw new Unchecked(`${account} may have ${roleFor(right)} by ${unclear.role}`);
    }
  }
  return lacking;
}

function bindingsOf(member: string, policies: readonly Policy[]) {
  return policies
    .flatMap(({ bindings }) => bindings)
    .filter(({ members }) => members.includes(member));
}

/**
 * Returns the policy of a resource; empty if it has none, `undefined` if there is no such resource.
 */
export function readPolicy(
  cloud: Cloud,
  api: "pubsub" | "run" | "secretmanager" | "cloudkms",
  resource: string,
  role: string,
): Promise<Policy | undefined> {
  return cloud.ask({ api, path: `${resource}:getIamPolicy`, shape: Policy, role });
}
