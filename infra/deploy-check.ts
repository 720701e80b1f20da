/**
 * Checks a project before anything is created in it: `gcloud auth print-access-token | tsx
 * infra/deploy-check.ts PROJECT REGION CLIENT_ID DATABASE [--all]`. Prints what is wrong, or with
 * `--all` every check, each with the command that fixes it, and changes nothing. The exit status is 1
 * if something would stop a deployment.
 */
import { text } from "node:stream/consumers";
import { findingOf } from "./cli/doctor/checks.ts";
import { googleCloud } from "./cli/doctor/cloud.ts";
import { endpointsOf } from "./cli/doctor/endpoints.ts";
import { linesOf } from "./cli/doctor/report.ts";
import { PREFLIGHT_CHECKS } from "./cli/preflight/checks.ts";

const isAll = process.argv.includes("--all");
const [projectId = "", region = "", clientId = "", databaseId = ""] = process.argv
  .slice(2)
  .filter((arg) => arg !== "--all");
const token = (await text(process.stdin)).trim();
// With it every check would be unclear, and a deployment would go on.
if (token === "") throw new Error("there is no access token on the standard input");
const cloud = googleCloud(endpointsOf(process.env), projectId, token);
const target = { projectId, region, clientId, databaseId, cloud };
const findings = await Promise.all(
  PREFLIGHT_CHECKS.map(({ name, run }) => findingOf(name, () => run(target))),
);
const shown = findings.filter(({ kind }) => isAll || kind !== "ok");
for (const line of shown.length > 0 ? linesOf(shown) : []) console.log(line);
if (findings.some(({ kind }) => kind === "failed")) process.exitCode = 1;
