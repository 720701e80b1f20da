import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const SOURCE = path.resolve(import.meta.dirname, "../../functions/src");

/** The rooms, from the lowest: each may import what stands before it, types included. */
const ROOMS = [
  "domain",
  "texts",
  "platform",
  "crypto",
  "config",
  "google",
  "store",
  "pubsub",
  "grant",
  "mailbox",
  "notices",
  "security-events",
  "connect",
  "gmail-api",
  "functions",
  // The files at the root put everything together.
  ".",
  "entries",
];

/** Where alone a package may be used. */
const PACKAGES: readonly [name: RegExp, where: RegExp][] = [
  [/^googleapis|^gaxios|^@google-cloud\/kms|^@grpc/, /^google\//],
  [/^@google-cloud\/firestore/, /^(store\/|instance\.ts$)/],
  [/^@google-cloud\/pubsub/, /^(pubsub\/|instance\.ts$)/],
  [/^@google-cloud\/functions-framework|^firebase-/, /^entries\//],
  [/^@opentelemetry/, /^platform\/telemetry\/(otlp|exporters|spans)\.ts$/],
  [/^nodemailer/, /^notices\//],
];

/** What only the composition root may touch: everything that is not the same twice. */
const AMBIENT =
  /\bprocess\.|\bDate\.now\(|\bnew Date\(\)|\bMath\.random\b|\bsetTimeout\(|\bfetch\(/;

interface Import {
  file: string;
  specifier: string;
  isTypeOnly: boolean;
  isDynamic: boolean;
}

const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".ts"),
);
const imports = files.flatMap((file) => importsOf(file));

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(SOURCE, file), "utf8");
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^;]*?from\s+"([^"]+)";|import\("([^"]+)"\)/gm,
  );
  return [...statements].map(([, type, specifier, dynamic]) => ({
    file,
    specifier: specifier ?? dynamic ?? "",
    isTypeOnly: type !== undefined,
    isDynamic: dynamic !== undefined,
  }));
}

/** The imports of our own files, with the file that each names. */
const inner = imports
  .filter(({ specifier }) => specifier.startsWith("."))
  .map((each) => ({ ...each, target: path.join(path.dirname(each.file), each.specifier) }));

function folderOf(file: string): string {
  return path.dirname(file).split(path.sep)[0] ?? ".";
}

describe("who may import whom", () => {
  it("finds the imports", () => {
    expect(files.length).toBeGreaterThan(30);
    expect(imports.length).toBeGreaterThan(100);
  });

  it("never leaves functions/src", () => {
    const outside = imports.filter(
      ({ file, specifier }) =>
        specifier.startsWith(".") && path.join(path.dirname(file), specifier).startsWith(".."),
    );
    expect(outside).toEqual([]);
  });

  it("lets each room import only the rooms below it", () => {
    const rooms = new Set(files.map((file) => folderOf(file)));
    expect([...rooms].toSorted()).toEqual([...ROOMS].toSorted());
    const upward = inner.filter(({ file, target }) => {
      const [from, to] = [folderOf(file), folderOf(target)];
      return ROOMS.indexOf(to) > ROOMS.indexOf(from);
    });
    expect(upward).toEqual([]);
  });

  it("has no import cycles", () => {
    const targetsOf = new Map<string, string[]>();
    for (const { file, target } of inner) {
      targetsOf.set(file, [...(targetsOf.get(file) ?? []), target]);
    }
    const isReached = (from: string, wanted: string, seen = new Set<string>()): boolean =>
      (targetsOf.get(from) ?? []).some((target) => {
        if (target === wanted) return true;
        if (seen.has(target)) return false;
        return isReached(target, wanted, seen.add(target));
      });
    expect(files.filter((file) => isReached(file, file))).toEqual([]);
  });

  it("uses each client library only in its folder", () => {
    const wrong = imports.filter(({ file, specifier }) =>
      PACKAGES.some(([name, where]) => name.test(specifier) && !where.test(file)),
    );
    expect(wrong).toEqual([]);
  });

  it("imports googleapis by its Gmail path only", () => {
    const specifiers = imports
      .map(({ specifier }) => specifier)
      .filter((specifier) => specifier.startsWith("googleapis"));
    expect(specifiers).toEqual(["googleapis/build/src/apis/gmail/index.js"]);
  });

  it("loads the OpenTelemetry SDK only where a collector is configured", () => {
    const loaders = imports.filter(
      ({ specifier, isTypeOnly }) => /(otlp|exporters|spans)\.ts$/.test(specifier) && !isTypeOnly,
    );
    expect(loaders).toMatchObject([
      { file: "platform/telemetry/open.ts", specifier: "./otlp.ts", isDynamic: true },
      { file: "platform/telemetry/otlp.ts", specifier: "./exporters.ts" },
      { file: "platform/telemetry/otlp.ts", specifier: "./spans.ts" },
    ]);
  });

  it("takes time, randomness, the environment and the network only in instance.ts", () => {
    const wrong = files
      .filter((file) => file !== "instance.ts")
      .filter((file) => AMBIENT.test(readFileSync(path.join(SOURCE, file), "utf8")));
    expect(wrong).toEqual([]);
  });

  it("throws no bare Error, whose message the log would drop", () => {
    const wrong = files.filter((file) =>
      /\bnew Error\(/.test(readFileSync(path.join(SOURCE, file), "utf8")),
    );
    expect(wrong).toEqual([]);
  });
});
