import { z } from "zod";
import type { Api, Endpoints } from "./endpoints.ts";
import { CommandError } from "../errors.ts";
import { networkReason, parseJson } from "../http.ts";
import { googleCredentials } from "../credentials.ts";
import { Unchecked, gcloud } from "./verdict.ts";

/** A request that changes nothing. */
export interface Question<T> {
  api: Api | "documents";
  /** The path after the version of the API. */
  path: string;
  shape: z.ZodType<T>;
  /** A role that allows this request, for people who may not make it. */
  role: string;
  /** With a body, the request is a `POST`. */
  body?: unknown;
}

/**
 * Google's APIs, called with the operator's own credentials. Throws {@link Unchecked} for every
 * response that leaves the question open: missing permission, no network, a disabled API, an
 * unexpected response.
 */
export interface Cloud {
  /** Returns the response; `undefined` for 404. */
  ask<T>(question: Question<T>): Promise<T | undefined>;
  /** Returns all pages of a list; `undefined` for 404. */
  askAll<T>(
    question: Omit<Question<never>, "shape">,
    field: string,
    item: z.ZodType<T>,
  ): Promise<T[] | undefined>;
  /** Returns the `authorization` header; throws without credentials. */
  authorize(): Promise<string>;
}

const CALL_TIMEOUT_MS = 15_000;
/** A project with more pages was not created by `deploy.sh` or Terraform. */
const PAGES_MAX = 20;
const ACCESS = "https://www.googleapis.com/auth/cloud-platform";
/** The command that signs the operator in. */
export const SIGN_IN = "gcloud auth application-default login";

const ErrorResponse = z.object({
  error: z.object({
    message: z.string().default(""),
    details: z.array(z.object({ reason: z.string().optional() })).default([]),
  }),
});

/**
 * Returns the APIs of a project, whose quota pays for the requests. With an access token of gcloud,
 * gcloud's own project pays: then also the APIs answer that the project has not enabled.
 */
export function googleCloud(endpoints: Endpoints, projectId: string, accessToken?: string): Cloud {
  const credentials =
    accessToken === undefined
      ? googleCredentials({ scopes: [ACCESS], fix: SIGN_IN })
      : () => Promise.resolve(`Bearer ${accessToken}`);
  const authorize = () =>
    credentials().catch((error: unknown) => {
      throw error instanceof CommandError ? new Unchecked(error.message, error) : error;
    });

  /** Each resource is read once, although several checks use it. Queries are sent each time. */
  const known = new Map<string, Promise<{ status: number; text: string }>>();

  async function send(url: string, body: unknown): Promise<{ status: number; text: string }> {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        // An emulator accepts any token, and never receives a real one.
        authorization: url.startsWith("https:") ? await authorize() : "Bearer owner",
        ...(accessToken === undefined && { "x-goog-user-project": projectId }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    return { status: response.status, text: await response.text() };
  }

  async function ask<T>({ api, path, shape, role, body }: Question<T>): Promise<T | undefined> {
    const base = api === "documents" ? endpoints.documents : endpoints.apis[api];
    const url = `${base}/${path}`;
    const sent = (body === undefined ? known.get(url) : undefined) ?? send(url, body);
    if (body === undefined) known.set(url, sent);
    const { status, text } = await sent.catch((error: unknown) => {
      if (error instanceof Unchecked) throw error;
      throw new Unchecked(`${new URL(base).host} does not answer (${networkReason(error)})`);
    });
    if (status === 404) return undefined;
    if (status !== 200) throw refused(status, text, base, role, projectId);
    const answer = shape.safeParse(parseJson(text));
    if (answer.success) return answer.data;
    const fields = answer.error.issues.map((issue) => issue.path.join(".")).join(", ");
    throw new Unchecked(`${path} was answered in a way not understood (${fields})`);
  }

  return {
    ask,
    authorize,
    async askAll(question, field, item) {
      const shape = z.looseObject({ nextPageToken: z.string().optional() });
      const items = z.array(item).default([]);
      const all: z.output<typeof item>[] = [];
      let token = "";
      for (let page = 0; page < PAGES_MAX; page++) {
        const path =
          token === "" ? question.path : `${question.path}?pageToken=${encodeURIComponent(token)}`;
        const answer = await ask({ ...question, path, shape });
        if (answer === undefined) return undefined;
        const read = items.safeParse(answer[field]);
        if (!read.success)
          throw new Unchecked(`${question.path} was answered in a way not understood`);
        all.push(...read.data);
        token = answer.nextPageToken ?? "";
        if (token === "") return all;
      }
      throw new Unchecked(`${question.path} has more than ${PAGES_MAX} pages`);
    },
  };
}

function refused(status: number, text: string, base: string, role: string, projectId: string) {
  const { host } = new URL(base);
  const { message, details } = ErrorResponse.safeParse(parseJson(text)).data?.error ?? {
    message: "",
    details: [],
  };
  if (details.some(({ reason }) => reason === "SERVICE_DISABLED")) {
    return new Unchecked(`${host} is not enabled`, {
      fix: gcloud(projectId, "services", "enable", host),
    });
  }
  if (status === 401)
    return new Unchecked("Google does not accept the credentials", { fix: SIGN_IN });
  if (status === 403) {
    return new Unchecked(`your account may not ask ${host}: it needs ${role}`, {
      fix: `gcloud projects add-iam-policy-binding ${projectId} --member=user:YOU --role=${role} --condition=None`,
    });
  }
  // Google's messages name resources; they are cut, because their content is unknown.
  return new Unchecked(`${host} answered ${status} ${message.slice(0, 120)}`.trim(), { status });
}
