import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { METRICS } from "../../functions/src/telemetry/telemetry.ts";

/**
 * Goal: a name that somebody searches, counts or is woken by cannot change in one place only. What
 * is logged and measured is read off the source, since no run comes by every record.
 */

const ROOT = path.resolve(import.meta.dirname, "../..");
const SOURCE = path.join(ROOT, "functions/src");
const ARCHITECTURE = readFileSync(path.join(ROOT, "functions/ARCHITECTURE.md"), "utf8");

const SEVERITY = {
  debug: "DEBUG",
  info: "INFO",
  warn: "WARNING",
  error: "ERROR",
  alert: "CRITICAL",
};
type Method = keyof typeof SEVERITY;
const SEVERITIES = Object.values(SEVERITY);
const METHODS = Object.keys(SEVERITY).join("|");

function readFiles(folder: string, name: RegExp): [file: string, text: string][] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => name.test(file))
    .map((file) => [file, readFileSync(path.join(folder, file), "utf8")]);
}

const sources = readFiles(SOURCE, /\.ts$/).filter(([file]) => file !== "log.ts");
const infra = readFiles(path.join(ROOT, "infra"), /\.(tf|json|md)$/);

/** A severity that is chosen first: `const write = isIdle ? log.debug : log.info`. */
const CHOICE = new RegExp(`const write = [^;]*?\\blog\\.(${METHODS}) : log\\.(${METHODS});`, "g");

/** The severities that each event is logged with. */
const logged = new Map<string, Set<string>>();
for (const [, text] of sources) {
  const add = (event: string, methods: readonly string[]) => {
    const severities = logged.get(event) ?? new Set();
    for (const method of methods) severities.add(SEVERITY[method as Method]);
    logged.set(event, severities);
  };
  for (const [, method = "", event = ""] of text.matchAll(
    new RegExp(`\\.(${METHODS})\\(\\s*"(\\w+)"`, "g"),
  )) {
    add(event, [method]);
  }
  const chosen = [...text.matchAll(CHOICE)].flatMap(([, ...methods]) => methods);
  for (const [, event = ""] of text.matchAll(/\bwrite\(\s*"(\w+)"/g)) add(event, chosen);
}

/** The rows of the table below a heading of ARCHITECTURE.md, cell by cell. */
function tableBelow(heading: string): string[][] {
  const [, below = ""] = ARCHITECTURE.split(`\n## ${heading}\n`);
  return (below.split("\n## ")[0] ?? "")
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").map((cell) => cell.trim()));
}

const namesIn = (cell: string) => [...cell.matchAll(/`([\w.]+)`/g)].map(([, name = ""]) => name);

describe("the names of what is logged", () => {
  it("are written where the record is, so that they can be found", () => {
    expect(logged.size).toBeGreaterThan(30);
    for (const [file, text] of sources) {
      const calls = text.match(new RegExp(`\\b[lL]og\\??\\.(${METHODS})\\(`, "g")) ?? [];
      const named = text.match(new RegExp(`\\b[lL]og\\??\\.(${METHODS})\\(\\s*"\\w+"`, "g")) ?? [];
      expect([file, named.length]).toEqual([file, calls.length]);
      // A method that is passed on would be called under another name.
      const passed = text.match(new RegExp(`\\blog\\.(${METHODS})\\b(?!\\()`, "g")) ?? [];
      expect([file, passed.length]).toEqual([file, (text.match(CHOICE) ?? []).length * 2]);
    }
  });

  const rows = tableBelow("What is logged").map(([, events = "", severity = ""]) => ({
    events: namesIn(events),
    severities: SEVERITIES.filter((name) => severity.includes(name)),
  }));

  it("are those of ARCHITECTURE.md, each once", () => {
    const documented = rows.flatMap(({ events }) => events);
    expect(documented.toSorted()).toEqual([...logged.keys()].toSorted());
  });

  it("have the severities of ARCHITECTURE.md", () => {
    for (const { events, severities } of rows) {
      const used = new Set(events.flatMap((event) => [...(logged.get(event) ?? [])]));
      expect([events, [...used].toSorted()]).toEqual([events, severities.toSorted()]);
    }
  });
});

describe("the names of what is measured", () => {
  const all = Object.keys(METRICS);

  it("are those of ARCHITECTURE.md, each once, with their kind", () => {
    const rows = tableBelow("Traces and metrics").map(([, name = "", kind = ""]) => [
      ...namesIn(name),
      kind.split(",")[0],
    ]);
    expect(rows.toSorted()).toEqual(
      Object.entries(METRICS)
        .map(([name, { kind }]) => [name, kind])
        .toSorted(),
    );
  });

  it("are all measured somewhere", () => {
    const text = sources.map(([, source]) => source).join("\n");
    const measured = [...text.matchAll(/\.(?:count|record)\(\s*"([\w.]+)"/g)];
    expect([...new Set(measured.map(([, name]) => name))].toSorted()).toEqual(all.toSorted());
  });

  it("are known wherever one is named", () => {
    const readme = readFileSync(path.join(ROOT, "README.md"), "utf8");
    for (const [file, text] of [["README.md", readme] as const, ...infra]) {
      const named = [...text.matchAll(/gmail_receiver\.[a-z_]+/g)].map(([name]) => name);
      expect([file, named.filter((name) => !all.includes(name))]).toEqual([file, []]);
    }
  });
});

describe("what infra goes by", () => {
  const terraform = infra.filter(([file]) => file.endsWith(".tf")).map(([, text]) => text);
  const [, events = ""] = infra.find(([file]) => file === "events.tf") ?? [];
  const alerting = [...events.matchAll(/^ {4}(\w+) += \{ severity = "(\w+)"/gm)].map(
    ([, event = "", severity = ""]) => ({ event, severity }),
  );
  const counted = [...events.matchAll(/_events +=\s*\[([^\]]*)\]/g)].flatMap(([, list = ""]) =>
    [...list.matchAll(/"(\w+)"/g)].map(([, event = ""]) => event),
  );

  it("is logged under that name, and severe enough for its alert", () => {
    expect(alerting.length).toBeGreaterThan(10);
    for (const { event, severity } of alerting) {
      const highest = Math.max(
        ...[...(logged.get(event) ?? [])].map((name) => SEVERITIES.indexOf(name)),
      );
      expect([event, highest >= SEVERITIES.indexOf(severity)]).toEqual([event, true]);
    }
  });

  it("is logged under that name where the dashboard counts it", () => {
    expect(counted.length).toBeGreaterThan(4);
    expect(counted.filter((event) => !logged.has(event))).toEqual([]);
  });

  it("names in its texts what there is", () => {
    const source = sources.map(([, text]) => text).join("\n");
    // What stands in a string of Terraform's is such a text itself; its own names do not.
    const declared = terraform.map((text) => text.replaceAll(/^(variable|output) "(\w+)"/gm, "$2"));
    const own = declared.map((text) => text.replaceAll(/"[^"\n]*"/g, "")).join("\n");
    const known = new Set(`${source}\n${own}`.match(/\b[a-z]+(?:_[a-z]+)+\b/g));
    for (const [file, text] of infra) {
      const named = [...text.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, name = ""]) => name);
      expect([file, named.filter((name) => !known.has(name))]).toEqual([file, []]);
    }
  });
});
