/** npm's `package-lock.json`, version 3, as far as a part of one is made here. */
export interface Lockfile {
  name: string;
  version: string;
  lockfileVersion: number;
  requires: boolean;
  /** By path, from the root: `""`, `node_modules/a`, `node_modules/a/node_modules/b`. */
  packages: Record<string, LockedPackage>;
}

export interface LockedPackage {
  version?: string;
  license?: string;
  integrity?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  dev?: boolean;
  optional?: boolean;
}

export interface Manifest {
  name: string;
  version: string;
  engines: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

/**
 * The lockfile of a folder with this manifest: what it names and all that those packages need, each
 * at the version and the place that the project's own lockfile has it, so that `npm ci` installs
 * what was tested. Throws when the project's lockfile lacks a package.
 */
export function lockfileFor(manifest: Manifest, project: Lockfile): Lockfile {
  const { name, version, engines, dependencies, devDependencies } = manifest;
  const production = reachable(Object.keys(dependencies), project);
  const all = reachable([...Object.keys(dependencies), ...Object.keys(devDependencies)], project);
  const packages: Record<string, LockedPackage> = {
    "": { name, version, dependencies, devDependencies, engines } as LockedPackage,
  };
  for (const [path, locked] of Object.entries(project.packages)) {
    const isRequired = all.get(path);
    if (isRequired === undefined) continue;
    // What is for development or optional in the project need not be so here.
    const { dev: _, optional: __, ...rest } = locked;
    packages[path] = {
      ...rest,
      ...(!production.has(path) && { dev: true }),
      ...(!isRequired && { optional: true }),
    };
  }
  const { lockfileVersion, requires } = project;
  return { name, version, lockfileVersion, requires, packages };
}

/**
 * The paths of these packages and of all that they need, found as Node finds them; whether each is
 * needed by more than optional dependencies.
 */
export function reachable(names: readonly string[], { packages }: Lockfile): Map<string, boolean> {
  const found = new Map<string, boolean>();
  const visit = (from: string, name: string, isRequired: boolean, isMissable: boolean) => {
    const path = pathOf(name, from, packages);
    if (path === undefined) {
      if (isMissable) return;
      throw new Error(`package-lock.json has no ${name} for ${from || "the project"}`);
    }
    // Again when it was optional before: then so was all that it needs.
    if (found.get(path) ?? (!isRequired && found.has(path))) return;
    found.set(path, isRequired);
    const { dependencies, optionalDependencies = {}, ...locked } = packages[path] ?? {};
    for (const each of Object.keys(dependencies ?? {})) visit(path, each, isRequired, false);
    for (const each of Object.keys(optionalDependencies)) visit(path, each, false, true);
    for (const each of Object.keys(locked.peerDependencies ?? {})) {
      const isOptional = locked.peerDependenciesMeta?.[each]?.optional === true;
      if (!isOptional) visit(path, each, isRequired, true);
    }
  };
  for (const name of names) visit("", name, true, false);
  return found;
}

/** Where the package of this name is that the package at `from` gets. */
export function pathOf(
  name: string,
  from: string,
  packages: Lockfile["packages"],
): string | undefined {
  for (
    let parent = from;
    ;
    parent = parent.slice(0, Math.max(0, parent.lastIndexOf("/node_modules/")))
  ) {
    const path = parent === "" ? `node_modules/${name}` : `${parent}/node_modules/${name}`;
    if (path in packages) return path;
    if (parent === "") return undefined;
  }
}
