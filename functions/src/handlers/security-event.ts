import { refusal } from "../http.ts";

/**
 * Cross-Account Protection is not received yet. 501 makes Google try again a limited number of
 * times; a revocation is noticed all the same, by the call that fails because of it.
 */
export function securityEvent(request: Request): Promise<Response> {
  const response = request.method === "POST" ? refusal(501) : refusal(405, { allow: "POST" });
  return Promise.resolve(response);
}
