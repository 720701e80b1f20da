import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { ISSUER } from "./authorization.ts";
import type { GmailModel } from "./model.ts";

/** The service account of a program that asks here, as it would on Cloud Run. */
export const LOCAL_ACCOUNT = "local@demo-gmail-push.iam.gserviceaccount.com";

const FLAVOR = { "metadata-flavor": "Google" };
const TOKEN_SECONDS = 3_600;

/**
 * As much of Google's metadata server as an ID token needs ("Fetching identity and access tokens using
 * the metadata server"). `GCE_METADATA_HOST` leads Google's libraries here.
 */
export function metadataRoutes(model: Pick<GmailModel, "sign">, now: () => number) {
  return new Hono<{ Bindings: HttpBindings }>()
    .use("/computeMetadata/*", async (context, next) => {
      // It keeps a page of the web from asking: a browser cannot send this header unasked.
      if (context.req.header("metadata-flavor") !== "Google") return context.text("", 403, FLAVOR);
      return next();
    })
    .get("/computeMetadata/v1/instance", (context) => context.text("", 200, FLAVOR))
    .get("/computeMetadata/v1/instance/service-accounts/default/identity", (context) => {
      const audience = context.req.query("audience");
      if (audience === undefined) {
        return context.text("non-empty audience parameter required", 400, FLAVOR);
      }
      const issuedAt = Math.floor(now() / 1_000);
      const token = model.sign({
        iss: ISSUER,
        aud: audience,
        azp: "100000000000000000001",
        sub: "100000000000000000001",
        email: LOCAL_ACCOUNT,
        email_verified: true,
        iat: issuedAt,
        exp: issuedAt + TOKEN_SECONDS,
      });
      return context.text(token, 200, FLAVOR);
    });
}
