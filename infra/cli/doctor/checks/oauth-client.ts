import { z } from "zod";
import { networkReason } from "../../http.ts";
import type { Deployment } from "../deployment.ts";
import type { Endpoints } from "../endpoints.ts";
import { type Verdict, Unchecked, failed, passed } from "../verdict.ts";

const TIMEOUT_MS = 15_000;
const Refusal = z.object({ error: z.string() });

/**
 * Checks the OAuth client at Google's token endpoint (RFC 6749 §5.2) with a made-up refresh token:
 * Google reports problems of the client before those of the token. No grant is affected.
 */
export function oauthClient(endpoints: Endpoints): (it: Deployment) => Promise<Verdict> {
  return async (it) => {
    const { oauth } = await it.configWith("OAUTH_CLIENT_SECRET");
    const { token } = endpoints.google;
    const response = await fetch(token, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: "no-such-token",
        client_id: oauth.clientId,
        client_secret: oauth.clientSecret,
      }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new Unchecked(`${new URL(token).host} does not answer (${networkReason(error)})`);
    });
    const answer = Refusal.safeParse(await response.json().catch(() => undefined));
    const error = answer.data?.error ?? "";
    const clients = `https://console.cloud.google.com/auth/clients?project=${it.projectId}`;
    const redeploy = await it.redeploy();
    switch (error) {
      case "invalid_grant":
        return passed("Google knows the client and its secret");
      case "invalid_client":
        return failed(
          "Google does not know OAUTH_CLIENT_ID, or OAUTH_CLIENT_SECRET is not its secret",
          `compare them with ${clients}, add a version of the secret, then: ${redeploy}`,
        );
      case "deleted_client":
        return failed("the OAuth client was deleted", `restore it at ${clients} (within 30 days)`);
      case "disabled_client":
        return failed("the OAuth client is disabled", `enable it at ${clients}`);
      case "unauthorized_client":
        return failed(
          "the OAuth client may not do this",
          `it has to be a "Web application": ${clients}`,
        );
      default:
        throw new Unchecked(
          `the token endpoint answered ${response.status} ${wordOf(error)}`.trim(),
        );
    }
  };
}

/**
 * Checks that the client belongs to the project of the Gmail topic: Gmail publishes to no other.
 */
export async function oauthProject(it: Deployment): Promise<Verdict> {
  const { oauth, gmail } = await it.config();
  const { number } = await it.project();
  const [, owner] = /^(\d+)-/.exec(oauth.clientId) ?? [];
  if (owner === undefined)
    throw new Unchecked("the client id does not begin with a project's number");
  const projectId = gmail.topic.split("/")[1] ?? "";
  if (projectId !== it.projectId) {
    return failed(
      `GMAIL_TOPIC is a topic of ${projectId}`,
      `make it one of ${it.projectId}, then: ${await it.redeploy()}`,
    );
  }
  return owner === number
    ? passed(`client and topic are of the project ${number}`)
    : failed(
        `the OAuth client is of the project ${owner}, the topic of ${number}`,
        `make a client at https://console.cloud.google.com/auth/clients?project=${it.projectId}`,
      );
}

function wordOf(error: string): string {
  return /^[\w.]{1,40}$/.test(error) ? error : "";
}
