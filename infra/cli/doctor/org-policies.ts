import { z } from "zod";
import type { Cloud } from "./cloud.ts";

/** Organization Policy v2, `projects.policies.getEffectivePolicy`. */
const OrgPolicy = z.object({
  spec: z
    .object({
      rules: z
        .array(
          z.object({
            allowAll: z.boolean().default(false),
            denyAll: z.boolean().default(false),
            enforce: z.boolean().default(false),
            values: z
              .object({
                allowedValues: z.array(z.string()).default([]),
                deniedValues: z.array(z.string()).default([]),
              })
              .default({ allowedValues: [], deniedValues: [] }),
          }),
        )
        .default([]),
    })
    .default({ rules: [] }),
});

/** The constraint that lets only the organization's own accounts into a policy of IAM. */
export const SHARING = "iam.allowedPolicyMemberDomains";

/** Returns the rules of a constraint of the organization that hold in a project. */
export async function readRules(
  { cloud, projectId }: { cloud: Cloud; projectId: string },
  constraint: string,
) {
  const policy = await cloud.ask({
    api: "orgpolicy",
    path: `projects/${projectId}/policies/${constraint}:getEffectivePolicy`,
    shape: OrgPolicy,
    role: "roles/orgpolicy.policyViewer",
  });
  return policy?.spec.rules ?? [];
}

/** Returns whether a policy refuses every account of others, and with them `allUsers`. */
export async function isSharingRestricted(cloud: Cloud, projectId: string): Promise<boolean> {
  const rules = await readRules({ cloud, projectId }, SHARING);
  return !rules.every(
    ({ allowAll, values, denyAll }) => allowAll || (!denyAll && values.allowedValues.length === 0),
  );
}
