import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Lockfile } from "../../functions/lockfile.ts";
import { buildSubscriber } from "../../functions/subscriber-package.ts";

/** The root of the repository. */
export const ROOT = path.resolve(import.meta.dirname, "../..");
/** The version that the package is packed with. */
export const VERSION = "1.2.3";

/** Builds a package into a folder, as `npm run build` does. */
type Build = (folder: string, version: string, lockfile: Lockfile) => Promise<void>;

/**
 * Builds a package (the subscriber's) in `folder/built`, packs it, and installs the archive in
 * `folder/user`, as somebody does who has only the archive. Returns the user's folder.
 */
export async function installPacked(
  folder: string,
  build: Build = buildSubscriber,
): Promise<string> {
  const lockfile = JSON.parse(readFileSync(path.join(ROOT, "package-lock.json"), "utf8"));
  const built = path.join(folder, "built");
  await build(built, VERSION, lockfile as Lockfile);
  const archive = run("npm", ["pack", "--silent", "--pack-destination", folder], built).trim();
  const user = path.join(folder, "user");
  mkdirSync(user);
  const manifest = { name: "user", private: true, type: "module" };
  writeFileSync(path.join(user, "package.json"), JSON.stringify(manifest));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", `../${archive}`], user);
  return user;
}

/** Runs a program to its end. Returns its output; throws when it fails. */
export function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}
