import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseKeyRing } from "../../functions/src/crypto/sealing.ts";
import { isHad } from "../support/emulator-source.ts";
import { readGoogleSchema } from "./google-schema.ts";
import { type InfraCopy, copyInfra, findTerraform } from "./terraform.ts";
import { type TerraformProvider, startTerraformProvider } from "./provider.ts";

/** Goal: one apply makes a deployment, and no file that Terraform writes contains a secret. */

const VARIABLES = {
  project_id: "acme-mail",
  oauth_client_id: "1234-abcd.apps.googleusercontent.com",
};
const CLIENT_SECRET = 'GOCSPX-it\'s a "secret" $HOME\nof two lines';

describe.skipIf(!isHad(findTerraform()))("terraform apply", { timeout: 240_000 }, () => {
  let provider: TerraformProvider;
  let copy: InfraCopy;
  let folder: string;
  let env: Record<string, string>;

  beforeEach(async () => {
    provider = await startTerraformProvider(readGoogleSchema(), "unknown");
    copy = await copyInfra(provider.env);
    folder = await mkdtemp(path.join(tmpdir(), "apply-"));
    for (const each of ["things", "secrets", "refusals", "bin"]) {
      await mkdir(path.join(folder, each));
    }
    const double = path.resolve(import.meta.dirname, "../deploy/gcloud-double.sh");
    await cp(double, path.join(folder, "bin/gcloud"));
    env = {
      PATH: `${folder}/bin:${process.env["PATH"]}`,
      CLOUD: folder,
      TF_VAR_oauth_client_secret: CLIENT_SECRET,
    };
  });
  afterEach(async () => {
    await copy.remove();
    provider.close();
    await rm(folder, { recursive: true, force: true });
  });

  const calls = async () => (await readFile(path.join(folder, "calls"), "utf8")).trim().split("\n");
  const refuse = (part: string) =>
    writeFile(path.join(folder, "refusals/1"), `${part}\n1\nERROR: PERMISSION_DENIED\n`);

  /** The versions that connect reads. */
  function versionsIn(state: string): Record<string, string> {
    const { resources } = JSON.parse(state) as {
      resources: {
        type: string;
        instances: { index_key: string; attributes: Record<string, never> }[];
      }[];
    };
    const functions = resources.find(({ type }) => type === "google_cloudfunctions2_function");
    const connect = functions?.instances.find((each) => each.index_key === "connect");
    const [config] = (connect?.attributes["service_config"] ?? []) as {
      secret_environment_variables: { key: string; version: string }[];
    }[];
    return Object.fromEntries(
      (config?.secret_environment_variables ?? []).map(({ key, version }) => [key, version]),
    );
  }

  it("makes the functions and their secrets at once, and keeps the values to itself", async () => {
    const { isOk, output, state, plan } = await copy.apply(VARIABLES, env);
    expect(output).toContain("Apply complete!");
    expect(isOk).toBe(true);
    expect(versionsIn(state)).toEqual({ OAUTH_CLIENT_SECRET: "1", TOKEN_KEYS: "1" });

    const wrapped = await readFile(path.join(folder, "secrets/gmail-push-token-keys"), "utf8");
    const [, ring = ""] = Buffer.from(wrapped, "base64")
      .toString()
      .split(/wrapped:(.*)/s);
    expect(parseKeyRing(ring)).toMatchObject({ ok: true });
    const [key = ""] = /[\w+/]{43}=/.exec(ring) ?? [];
    for (const written of [output, state, plan, (await calls()).join("\n")]) {
      expect(written).toContain("acme-mail");
      for (const secret of ["GOCSPX", wrapped, key]) expect(written).not.toContain(secret);
    }
  });

  it("changes nothing when it is run again, and reads a new value once its number is raised", async () => {
    await copy.apply(VARIABLES, env);
    const again = await copy.apply(VARIABLES, env);
    expect(again.output).toContain("Resources: 0 added, 0 changed, 0 destroyed");
    const secret_writes = { OAUTH_CLIENT_SECRET: 2, TOKEN_KEYS: 1 };
    const { state } = await copy.apply({ ...VARIABLES, secret_writes }, env);
    expect(versionsIn(state)).toEqual({ OAUTH_CLIENT_SECRET: "2", TOKEN_KEYS: "1" });
    expect((await calls()).filter((call) => call.includes("versions add"))).toHaveLength(1);
  });

  it("goes on after it was stopped before the key ring was stored", async () => {
    await refuse("versions add");
    expect(await copy.apply(VARIABLES, env)).toMatchObject({ isOk: false });
    expect(await copy.apply(VARIABLES, env)).toMatchObject({ isOk: true });
  });

  it("replaces no key ring that it finds, and adds none where it cannot look", async () => {
    await writeFile(path.join(folder, "secrets/gmail-push-token-keys"), "theirs");
    await refuse("versions describe");
    expect(await copy.apply(VARIABLES, env)).toMatchObject({ isOk: false });
    expect(await copy.apply(VARIABLES, env)).toMatchObject({ isOk: true });
    const kept = await readFile(path.join(folder, "secrets/gmail-push-token-keys"), "utf8");
    expect(kept).toBe("theirs");
  });

  it("opens the public functions without allUsers, again after each deployment of them", async () => {
    const edit = {
      file: "example/main.tf",
      from: "  settings = {\n",
      to: "  invoker_iam_check = false\n  settings = {\n",
    };
    await copy.withEdit(edit, async () => {
      const { state } = await copy.apply(VARIABLES, env);
      expect(state).not.toContain("allUsers");
      const opened = async () =>
        (await calls()).filter((call) => call.includes("--no-invoker-iam-check"));
      expect((await opened()).toSorted()).toEqual(
        ["connect", "security-event"].map(
          (name) =>
            `gcloud run services update ${name} --no-invoker-iam-check --region=europe-west1 --project=acme-mail`,
        ),
      );
      await copy.apply(VARIABLES, env);
      expect(await opened()).toHaveLength(2);
      const change = { file: "example/main.tf", from: '"Example"', to: '"Other"' };
      await copy.withEdit(change, () => copy.apply(VARIABLES, env));
      expect(await opened()).toHaveLength(4);
    });
  });
});
