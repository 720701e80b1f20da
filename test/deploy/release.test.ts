import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeRelease } from "../../functions/release.ts";
import { zip } from "../../functions/zip.ts";
import { isHad } from "../support/emulator-source.ts";
import { dryRun, emptyCloud } from "./deploy-script.ts";
import { readGoogleSchema } from "../terraform/google-schema.ts";
import { startTerraformProvider } from "../terraform/provider.ts";
import { findTerraform, runTerraform } from "../terraform/terraform.ts";

/** Goal: a release is a version: the same bytes for all, and whole without this project. */

const ROOT = path.resolve(import.meta.dirname, "../..");
const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
const archive = (way: string) => `gmail-push-receiver-${version}-${way}.zip`;

interface Deployment {
  version: string;
  functions: Record<string, object | undefined>;
  variables: string[];
  required: string[];
}

let folder: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "release-"));
  const build = ["--import", "tsx", path.join(ROOT, "functions/build.ts"), at("built")];
  const { status, stderr } = spawnSync(process.execPath, build, { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  writeRelease(ROOT, at("built"), at("release"));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function unpack(way: string): string {
  const to = at(`unpacked-${way}`);
  const { status, stderr } = spawnSync("unzip", ["-qo", at("release", archive(way)), "-d", to]);
  expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: "" });
  return to;
}

describe("a release", () => {
  it("has the same bytes, whenever and from whichever folder it is written", () => {
    cpSync(at("built"), at("elsewhere"), { recursive: true });
    utimesSync(at("elsewhere/gcloud/functions.js"), 1, 1);
    mkdirSync(at("elsewhere/gcloud/.compile-cache"));
    writeFileSync(at("elsewhere/gcloud/.compile-cache/a"), "of this machine");
    const names = writeRelease(ROOT, at("elsewhere"), at("again"));
    expect(names).toEqual([
      archive("gcloud"),
      archive("terraform"),
      archive("firebase"),
      "SHA256SUMS",
    ]);
    for (const name of names) {
      const [one, other] = ["release", "again"].map((each) => readFileSync(at(each, name)));
      expect(one?.equals(other ?? Buffer.of())).toBe(true);
    }
  });

  it("comes with the checksum of each archive", () => {
    const sums = readFileSync(at("release/SHA256SUMS"), "utf8").trimEnd().split("\n");
    expect(sums).toHaveLength(3);
    for (const line of sums) {
      const [sum, name = ""] = line.split("  ");
      const content = readFileSync(at("release", name));
      expect(createHash("sha256").update(content).digest("hex")).toBe(sum);
    }
  });

  it("installs by its own lockfile, and says what it is made of", () => {
    const unpacked = unpack("gcloud");
    for (const file of [
      "functions.js",
      "deployment.json",
      "sbom.cdx.json",
      "THIRD-PARTY-NOTICES.txt",
    ]) {
      expect(existsSync(path.join(unpacked, file))).toBe(true);
    }
    const env = { ...process.env, npm_config_offline: "true" };
    const { status } = spawnSync("npm", ["ci", "--dry-run"], { cwd: unpacked, env });
    expect(status).toBe(0);
  });

  it("has what the Firebase CLI deploys, and builds nothing there", () => {
    const unpacked = unpack("firebase");
    const settings = JSON.parse(readFileSync(path.join(unpacked, "firebase.json"), "utf8"));
    const [{ source, predeploy }] = settings.functions;
    expect(predeploy).toBeUndefined();
    expect(existsSync(path.join(unpacked, "infra/deploy/open-pages.sh"))).toBe(true);
    expect(existsSync(path.join(unpacked, source, "functions.js"))).toBe(true);
    const [{ rules, indexes }] = settings.firestore;
    for (const file of [rules, indexes]) expect(existsSync(path.join(unpacked, file))).toBe(true);
  });

  it.skipIf(!isHad(findTerraform()))("has a Terraform module that is whole", async () => {
    const unpacked = unpack("terraform");
    const example = path.join(unpacked, "infra/example");
    for (const each of ["token-keys", "key-ring"]) {
      expect(existsSync(path.join(unpacked, `infra/deploy/${each}.sh`))).toBe(true);
    }
    const provider = await startTerraformProvider(readGoogleSchema(), "unknown");
    try {
      expect(await runTerraform(example, ["init"], provider.env)).toMatchObject({ isOk: true });
      const variables = ["-var=project_id=acme-mail", "-var=secret_writes={}"];
      const plan = await runTerraform(example, ["plan", ...variables], provider.env);
      expect(plan).toMatchObject({ isOk: true });
    } finally {
      provider.close();
    }
  });
});

describe("an archive", () => {
  it("is read by other programs, whatever is in it", () => {
    const files = [
      { path: "b/ä.txt", content: Buffer.from("two") },
      { path: "a.txt", content: Buffer.alloc(70_000, "x") },
      { path: "empty", content: Buffer.of() },
    ];
    writeFileSync(at("some.zip"), zip(files));
    const { status } = spawnSync("unzip", ["-tq", at("some.zip")]);
    expect(status).toBe(0);
    const script =
      "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.namelist(), z.testzip())";
    const { stdout } = spawnSync("python3", ["-c", script, at("some.zip")], { encoding: "utf8" });
    expect(stdout).toBe("['a.txt', 'b/ä.txt', 'empty'] None\n");
  });
});

describe("deploy.sh --artefact", { timeout: 300_000 }, () => {
  const SETTINGS = "OAUTH_CLIENT_ID=123-abc.apps.googleusercontent.com\n";

  it("deploys an archive that does not say what it needs, as this folder would", async () => {
    const cloud = await emptyCloud(SETTINGS);
    await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    const earlier = at("earlier.zip");
    writeFileSync(earlier, zip([{ path: "functions.js", content: Buffer.from("// earlier\n") }]));
    const { succeeded } = await cloud.deploy({ args: ["--artefact", earlier] });
    expect(succeeded).toBe(true);
    expect((await cloud.calls()).filter((call) => call.includes("functions deploy "))).toHaveLength(
      6,
    );
    expect(await cloud.deployedCode()).toBe("// earlier\n");
    await cloud.close();
  });

  /** A release of long ago: without gmailApi, and with other times and settings. */
  function writeEarlier(change: (deployment: Deployment) => void = () => {}): string {
    const text = readFileSync(path.join(unpack("gcloud"), "deployment.json"), "utf8");
    const deployment = JSON.parse(text) as Deployment;
    deployment.version = "0.0.9";
    delete deployment.functions["gmailApi"];
    Object.assign(deployment.functions["connect"] ?? {}, { timeoutSeconds: 30, maxInstances: 100 });
    Object.assign(deployment.functions["watchRenewal"] ?? {}, { schedule: "*/5 * * * *" });
    deployment.variables = deployment.variables.filter((name) => name !== "APP_NAME");
    change(deployment);
    const file = at("earlier-release.zip");
    const code = { path: "functions.js", content: Buffer.from("// earlier\n") };
    const described = { path: "deployment.json", content: Buffer.from(JSON.stringify(deployment)) };
    writeFileSync(file, zip([code, described]));
    return file;
  }

  it("goes forward, back and forward, each time as that version wants to be deployed", async () => {
    const cloud = await emptyCloud(`${SETTINGS}APP_NAME=Acme\n`);
    await cloud.giveSecret("OAUTH_CLIENT_SECRET", "GOCSPX-client-secret");
    const run = async (artefact: string) => {
      const { succeeded, output } = await cloud.deploy({ args: ["--artefact", artefact] });
      expect(succeeded).toBe(true);
      const calls = await cloud.calls();
      expect(calls.filter((call) => call.includes("npm run"))).toEqual([]);
      const deploys = calls
        .filter((call) => / functions deploy | jobs (create|update) /.test(call))
        .map((call) => call.replace(/ jobs \w+ /, " jobs "));
      return { output, deploys: deploys.toSorted() };
    };
    const forward = await run(at("release", archive("gcloud")));
    const back = await run(writeEarlier());
    expect(await cloud.deployedCode()).toBe("// earlier\n");
    const again = await run(at("release", archive("gcloud")));
    await cloud.close();

    expect(forward.deploys).toHaveLength(8);
    expect(again.deploys).toEqual(forward.deploys);
    expect(again.output).not.toMatch(/in this folder$/m);
    expect(back.deploys).toEqual(
      forward.deploys
        .filter((call) => !call.includes("deploy gmailApi"))
        .map((call) => call.replace(/(deploy connect .*)--timeout=\d+s/, "$1--timeout=30s"))
        .map((call) => call.replace(/(watch-renewal .*)--schedule=\S+/, "$1--schedule=*/5")),
    );
    expect(back.output).toContain("Version 0.0.9, with the settings and the instances of this");
    expect(back.output).toContain("It does not know APP_NAME");
    expect(back.output).toContain("connect: timeoutSeconds is 30, and 120 in this folder");
    expect(back.output).toContain("gcloud functions delete gmailApi --region=us-central1");
  });

  it.each<[what: string, change: (deployment: Deployment) => void, said: string]>([
    [
      "a setting that is missing",
      (its) => (its.required = ["FORMER_SETTING"]),
      "version 0.0.9 needs FORMER_SETTING",
    ],
    [
      "a function whose name a shell would run",
      (its) => (its.functions["x=1; touch pwned; y"] = its.functions["connect"]),
      "no valid deployment.json",
    ],
    [
      "a version that a terminal would obey",
      (its) => (its.version = "\u001b]0;1"),
      "no valid deployment.json",
    ],
  ])("deploys no version with %s", (_, change, said) => {
    const env = at(".env");
    writeFileSync(env, SETTINGS);
    const { status, stderr } = dryRun(env, "--artefact", writeEarlier(change));
    expect(status).toBe(2);
    expect(stderr).toContain(said);
  });

  it("deploys nothing that differs from its checksum", () => {
    const env = at(".env");
    writeFileSync(env, SETTINGS);
    mkdirSync(at("broken"));
    cpSync(at("release/SHA256SUMS"), at("broken/SHA256SUMS"));
    writeFileSync(at("broken", archive("gcloud")), zip([]));
    const { status, stderr } = dryRun(env, "--artefact", at("broken", archive("gcloud")));
    expect(status).toBe(1);
    expect(stderr).toContain("Get it again");
  });
});
