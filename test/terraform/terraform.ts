import { execFile, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { Missing } from "../support/emulator-source.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const COMMAND_MS_MAX = 60_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const UNZIP = { encoding: "latin1", maxBuffer: OUTPUT_BYTES_MAX } as const;
const ENV = {
  // No settings of whoever runs this: a mirror, or another provider in place of ours.
  TF_CLI_CONFIG_FILE: "/dev/null",
  TF_IN_AUTOMATION: "1",
  TF_INPUT: "0",
  TF_CLI_ARGS: "-no-color",
  CHECKPOINT_DISABLE: "1",
};

export type TerraformSource = { kind: "found" } | Missing;

/** The Terraform CLI of this machine. */
export function findTerraform(): TerraformSource {
  const { status } = spawnSync("terraform", ["version"], { env: { ...process.env, ...ENV } });
  return status === 0
    ? { kind: "found" }
    : {
        kind: "missing",
        why: "there is no Terraform CLI: https://developer.hashicorp.com/terraform/install",
      };
}

export interface TerraformRun {
  isOk: boolean;
  output: string;
}

/** Runs the Terraform CLI in a folder; nothing is asked. */
export async function runTerraform(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<TerraformRun> {
  const options = {
    cwd: folder,
    timeout: COMMAND_MS_MAX,
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, ...ENV, ...env },
  };
  try {
    const { stdout } = await promisify(execFile)("terraform", args, options);
    return { isOk: true, output: stdout };
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    if (stdout === undefined) throw error;
    return { isOk: false, output: `${stdout}${stderr}` };
  }
}

/** A change to one file of `infra/`: what is there once, and what stands there instead. */
export interface Edit {
  file: string;
  from: string;
  to: string;
}

export interface PlannedResource {
  type: string;
  /** Its key in a `for_each`, or its name. */
  key: string;
  values: Record<string, unknown>;
}

export type Plan =
  | { kind: "planned"; resources: PlannedResource[]; outputs: Record<string, unknown> }
  | { kind: "refused"; output: string };

/** A copy of `infra/` and of what it reads, in a folder of its own. */
export interface InfraCopy {
  validate(): Promise<TerraformRun>;
  /** Runs the tests of the module itself, `infra/tests`. */
  test(): Promise<TerraformRun>;
  /** Plans a first deployment of the module itself, or of the example. */
  plan(variables: Readonly<Record<string, unknown>>, folder?: "." | "example"): Promise<Plan>;
  /**
   * Applies the example, with further environment variables, to what was applied before. Returns what
   * stands in the state and in the saved plan, too.
   */
  apply(
    variables: Readonly<Record<string, unknown>>,
    more: Readonly<Record<string, string>>,
  ): Promise<TerraformRun & { state: string; plan: string }>;
  /** Does something with a file changed, and puts it back. */
  withEdit<T>(edit: Edit, act: () => Promise<T>): Promise<T>;
  remove(): Promise<void>;
}

/** `env` is of the provider to use: see `terraform-provider.ts`. */
export async function copyInfra(env: Readonly<Record<string, string>>): Promise<InfraCopy> {
  const root = await mkdtemp(path.join(tmpdir(), "infra-"));
  const infra = path.join(root, "infra");
  for (const part of ["infra", "functions/src/entries/functions.json"]) {
    await cp(path.join(ROOT, part), path.join(root, part), {
      recursive: true,
      filter: (source) => !path.basename(source).startsWith(".terraform"),
    });
  }
  await mkdir(path.join(root, "functions/dist"));
  await writeFile(path.join(root, "functions/dist/gcloud.zip"), "as built");
  for (const folder of [".", "example"]) {
    const { isOk, output } = await runTerraform(path.join(infra, folder), ["init"], env);
    if (!isOk) throw new Error(output);
  }

  return {
    test: () => runTerraform(infra, ["test"], env),
    validate: () => runTerraform(path.join(infra, "example"), ["validate"], env),

    async plan(variables, folder = ".") {
      const at = path.join(infra, folder);
      const file = path.join(at, "test.tfvars.json");
      await writeFile(file, JSON.stringify(variables));
      const plan = await runTerraform(at, ["plan", "-out=plan", `-var-file=${file}`], env);
      if (!plan.isOk) return { kind: "refused", output: plan.output };
      const { output } = await runTerraform(at, ["show", "-json", "plan"], env);
      return readPlan(JSON.parse(output));
    },

    async apply(variables, more) {
      const at = path.join(infra, "example");
      const file = path.join(at, "test.tfvars.json");
      await writeFile(file, JSON.stringify(variables));
      const run = (args: string[]) => runTerraform(at, args, { ...env, ...more });
      let { isOk, output } = await run(["plan", "-out=plan", `-var-file=${file}`]);
      const { stdout: plan } = spawnSync("unzip", ["-p", path.join(at, "plan")], UNZIP);
      if (isOk) ({ isOk, output } = await run(["apply", `-var-file=${file}`, "plan"]));
      const state = await readFile(path.join(at, "terraform.tfstate"), "utf8").catch(() => "");
      return { isOk, output, state, plan };
    },

    async withEdit({ file, from, to }, act) {
      const at = path.join(infra, file);
      const text = await readFile(at, "utf8");
      if (text.split(from).length !== 2) throw new Error(`not once in ${file}: ${from}`);
      await writeFile(
        at,
        text.replace(from, () => to),
      );
      try {
        return await act();
      } finally {
        await writeFile(at, text);
      }
    },

    remove: () => rm(root, { recursive: true, force: true }),
  };
}

/** The parts of `terraform show -json` that are read. */
interface PlanJson {
  resource_changes: {
    mode: string;
    type: string;
    name: string;
    index?: string | number;
    change: { after: Record<string, unknown> };
  }[];
  output_changes?: Record<string, { after?: unknown }>;
}

function readPlan({ resource_changes: changes, output_changes: outputs = {} }: PlanJson): Plan {
  return {
    kind: "planned",
    resources: changes
      .filter(({ mode }) => mode === "managed")
      .map(({ type, name, index, change }) => ({
        type,
        key: typeof index === "string" ? index : name,
        values: change.after,
      })),
    outputs: Object.fromEntries(
      Object.entries(outputs).map(([name, output]) => [name, output.after]),
    ),
  };
}
