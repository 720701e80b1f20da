import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const SOURCE = path.resolve(import.meta.dirname, "../../functions/src");

/** What each folder may import of the others: types and pure code run downwards only. */
const ALLOWED: Record<string, readonly string[]> = {
  entries: ["handlers", "."],
  handlers: ["security", "grant", "mailbox", "pages", "google", "."],
  security: ["grant", "mailbox", "google", "."],
  grant: ["mailbox", "google", "."],
  mailbox: ["google", "."],
  google: ["grant", "mailbox", "."],
  changes: ["mailbox", "."],
  // A person reads the same words in a mail as on the pages.
  notices: ["pages", "grant", "mailbox", "."],
  telemetry: ["google", "mailbox", "."],
  pages: ["."],
};

/** Where alone a package may be used. */
const PACKAGES: readonly [name: RegExp, where: RegExp][] = [
  [/^googleapis|^gaxios|^@google-cloud\/kms|^@grpc/, /^google\//],
  [
    /^@google-cloud\/firestore/,
    /^(user-store|user-repair|seen-events|callback-claims|services)\.ts$/,
  ],
  [/^@google-cloud\/pubsub/, /^(changes\/|services\.ts$)/],
  [/^@google-cloud\/functions-framework|^firebase-/, /^entries\//],
  [/^@opentelemetry/, /^telemetry\/(otlp|exporters|spans)\.ts$/],
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
    /^import\s+(type\s)?[^;]*?from\s+"([^"]+)";|import\("([^"]+)"\)/gm,
  );
  return [...statements].map(([, type, specifier, dynamic]) => ({
    file,
    specifier: specifier ?? dynamic ?? "",
    isTypeOnly: type !== undefined,
    isDynamic: dynamic !== undefined,
  }));
}

function folderOf(file: string): string {
  return path.dirname(file).split(path.sep)[0] ?? ".";
}

describe("who may import whom", () => {
  it("reads the imports at all", () => {
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

  it("runs from entries to handlers to grant to mailbox, and never back", () => {
    const wrong = imports.filter(({ file, specifier, isTypeOnly }) => {
      if (!specifier.startsWith(".")) return false;
      const [from, to] = [folderOf(file), folderOf(path.join(path.dirname(file), specifier))];
      // The files at the root are the composition, and the plain data that all share.
      if (from === "." || from === to || isTypeOnly) return false;
      return !(ALLOWED[from] ?? []).includes(to);
    });
    expect(wrong).toEqual([]);
  });

  it("keeps each client library in its place", () => {
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
      { file: "telemetry/open.ts", specifier: "./otlp.ts", isDynamic: true },
      { file: "telemetry/otlp.ts", specifier: "./exporters.ts" },
      { file: "telemetry/otlp.ts", specifier: "./spans.ts" },
    ]);
  });

  it("takes time, randomness, the environment and the network only in services.ts", () => {
    const wrong = files
      .filter((file) => file !== "services.ts")
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
