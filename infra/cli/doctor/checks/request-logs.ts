import { z } from "zod";
import exclusion from "../../../log-exclusion.json" with { type: "json" };
import { type Deployment, deployed, lastPart } from "../deployment.ts";
import { type Verdict, failed, gcloud, passed } from "../verdict.ts";

/** Cloud Logging v2, `projects.sinks`. */
const Sink = z.object({
  filter: z.string().default(""),
  disabled: z.boolean().default(false),
  exclusions: z
    .array(
      z.object({
        name: z.string(),
        filter: z.string().default(""),
        disabled: z.boolean().default(false),
      }),
    )
    .default([]),
});

/**
 * Checks that the project's request log excludes URLs of `connect` that contain authorization codes
 * or re-authorization links.
 */
export async function requestLogs(it: Deployment): Promise<Verdict> {
  const { serviceConfig } = await deployed(it, "connect");
  const service = lastPart(serviceConfig.service);
  const sink = await it.cloud.ask({
    api: "logging",
    path: `projects/${it.projectId}/sinks/_Default`,
    shape: Sink,
    role: "roles/logging.viewer",
  });
  if (sink === undefined || sink.disabled) return passed("the sink _Default keeps no log");
  const filter = exclusion.filter.replace('"connect"', `"${service}"`);
  const found = sink.exclusions.find(({ name }) => name === exclusion.name);
  const isMeant = found?.disabled === false && found.filter === filter;
  if (isMeant) return passed("URLs with codes and links are not logged");
  const words = Object.entries({
    ...exclusion,
    filter,
    ...(found?.disabled && { disabled: false }),
  })
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
  const verb = found === undefined ? "add" : "update";
  const command = ["logging", "sinks", "update", "_Default", `--${verb}-exclusion=${words}`];
  return failed("URLs with codes and links are logged", gcloud(it.projectId, ...command));
}
