import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { parse } from "@cdktf/hcl2json";
import { describe, expect, it } from "vitest";
import { isInRunbook } from "../../functions/generated.ts";
import { LOG_EVENTS, type LogEvent } from "../../functions/src/platform/log-events.ts";
import { isHad } from "../support/emulator-source.ts";
import { findGcloudSdk, tryCommands } from "./gcloud-sdk.ts";
import { runInfra } from "../support/infra-command.ts";
import { runCommand } from "../operator/operator-cli.ts";

/**
 * Goal: whoever is called finds a section for what called them, a procedure that has been tried,
 * and commands that exist.
 */

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(path.join(ROOT, file), "utf8");
const under = (folder: string, ext: string) =>
  readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ext) && !file.includes(".terraform"))
    .map((file) => read(path.join(folder, file)));

const runbook = read("infra/docs/runbook.md");

interface Section {
  part: string;
  title: string;
  text: string;
}

const sections: Section[] = runbook
  .split(/^## /m)
  .slice(1)
  .flatMap((part) => {
    const [intro = "", ...subsections] = part.split(/^### /m);
    const name = intro.split("\n", 1)[0] ?? "";
    return subsections.map((text) => ({
      part: name,
      title: text.split("\n", 1)[0] ?? "",
      text: text.slice(text.indexOf("\n")),
    }));
  });
const titlesOf = (part: string) =>
  sections.filter((section) => section.part === part).map(({ title }) => title);

interface Hcl {
  resource?: Record<string, Record<string, [{ for_each?: unknown; display_name: string }]>>;
  locals?: [Record<string, unknown>];
}

/** The names of the alert policies that are not on one event, without their common prefix. */
async function alertNames(): Promise<string[]> {
  const files: Hcl[] = await Promise.all(under("infra", ".tf").map((text) => parse("a.tf", text)));
  const locals = Object.assign({}, ...files.flatMap(({ locals: own = [{}] }) => own)) as Record<
    string,
    object
  >;
  const policies = files.flatMap(({ resource = {} }) =>
    Object.values(resource["google_monitoring_alert_policy"] ?? {}),
  );
  return policies.flatMap(([{ display_name, for_each: of }]) => {
    const name = display_name.replace("Gmail push: ", "");
    const local = typeof of === "string" ? /^\$\{local\.(\w+)\}$/.exec(of)?.[1] : undefined;
    const keys = Object.keys((local === undefined ? of : locals[local]) ?? {});
    return of === undefined ? [name] : keys.map((key) => name.replace("${each.key}", key));
  });
}

describe("the runbook", () => {
  it("has a section with the severities for every event from WARNING on, and for no other", () => {
    const events = Object.entries<LogEvent>(LOG_EVENTS).filter(([, event]) => isInRunbook(event));
    expect(titlesOf("Events").toSorted()).toEqual(events.map(([name]) => name).toSorted());
    for (const { title, text } of sections.filter(({ part }) => part === "Events")) {
      const { severities } = LOG_EVENTS[title as keyof typeof LOG_EVENTS];
      for (const severity of severities) expect(text, `${title}`).toContain(severity);
    }
  });

  it("has a section for every alert that is not about one event", async () => {
    const names = await alertNames();
    expect(names.length).toBeGreaterThan(5);
    expect(titlesOf("Alerts").toSorted()).toEqual(names.toSorted());
  });

  it("names a drill for each procedure, or says that it was not tried", () => {
    for (const { title, text } of sections.filter(({ part }) => part === "Procedures")) {
      expect(text, `${title}`).toMatch(/^(Drill|Not tried): /m);
    }
  });

  const drills = [...runbook.matchAll(/^Drill: `([^`]+)`: "(.+)"$/gm)];
  it("names drills that exist", () => {
    expect(drills.length).toBe((runbook.match(/^Drill: /gm) ?? []).length);
    expect(drills.length).toBeGreaterThan(15);
    for (const [, file = "", title = ""] of drills) {
      expect(read(file), `${file}`).toContain(`"${title}"`);
    }
  });
});

const EXAMPLES: readonly [word: RegExp, example: string][] = [
  [/\bPROJECT\b/g, "demo-proj"],
  [/\bREGION\b/g, "us-central1"],
  [/\bBUCKET\b/g, "demo-bucket"],
  [/\bTIME\b/g, "2026-11-20T12:00:00Z"],
  [/\b(SERVICE|SUBSCRIPTION|REVISION|USER|NEW|OLD|KEY)\b/g, "example"],
  [/\bVERSION\b/g, "1"],
];

/** Every command shown, one each, with examples for what is to be filled in. */
const commands = [...runbook.matchAll(/^ *```\n([^]*?)^ *```$/gm)]
  .flatMap(([, block = ""]) => block.replaceAll("\\\n", " ").split("\n"))
  .map((line) => line.trim())
  .filter((line) => line !== "");
const fill = (command: string) =>
  EXAMPLES.reduce((text, [word, example]) => text.replace(word, example), command)
    // Where it reads from and writes to is the shell's business.
    .replace(/ [<>] \S+/g, "");

const sdk = findGcloudSdk();

describe.skipIf(!isHad(sdk))("gcloud", { timeout: 120_000 }, () => {
  const shown = commands
    .filter((command) => command.startsWith("gcloud "))
    .map(fill)
    .map((command) => command.replace("--data-file=next", "--data-file=-"))
    .map((command) => command.replace("--data-file=after", "--data-file=-"));
  function refused(of: string[]) {
    if (sdk.kind === "missing") throw new Error(sdk.why);
    return tryCommands(sdk, of).filter(({ end }) => end !== "ok");
  }

  it("accepts every command of the runbook, as far as the sign-in", () => {
    expect(shown.length).toBeGreaterThan(20);
    expect(refused(shown)).toEqual([]);
  });

  it("would reject a wrong command", () => {
    const wrong = shown.map((command) => command.replace(/--([a-z-]+)=/, "--$1-x="));
    expect(refused(wrong)).toHaveLength(wrong.length);
  });
});

const helps = new Map<string, Promise<string>>();

/** What a program says of itself or of one of its commands. */
function helpOf(script: string, command: string): Promise<string> {
  const name = `${script} ${command}`;
  const args = [...(command === "" ? [] : [command]), "--help"];
  const help = helps.get(name) ?? ask(script, args);
  helps.set(name, help);
  return help;
}

async function ask(script: string, args: readonly string[]): Promise<string> {
  switch (script) {
    case "mailboxes": {
      const nobody = () => {
        throw new Error("help needs no store");
      };
      const { lines } = await runCommand(nobody, args);
      // It is printed line by line, and nobody waits for the last of them.
      await turn();
      return lines.join("\n");
    }
    case "keys":
      return (await runInfra("keys", args)).stdout;
    default:
      throw new Error(`the runbook shows ${script}, whose help is not known here`);
  }
}

describe("npm run", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const inText = [...runbook.matchAll(/`(npm run [^`]+)`/g)].map(([, command = ""]) => command);
  const shown = new Set(
    [...commands, ...inText].filter((text) => /^npm run .*\w/.test(text)).map(fill),
  );

  it(
    "has every program, command and option that the runbook shows",
    { timeout: 120_000 },
    async () => {
      expect(shown.size).toBeGreaterThan(10);
      for (const line of shown) {
        const [, script = "", rest = ""] = /^npm run (?:-s )?(\S+)(?: -- (.*))?$/.exec(line) ?? [];
        expect(Object.keys(scripts), `${line}`).toContain(script);
        if (rest === "" || rest === "...") continue;
        const own = await helpOf(script, "");
        const words = rest.split(" ");
        const command = words
          .filter((word) => !word.startsWith("--"))
          .find((word) => new RegExp(`^  ${word}(?: |$)`, "m").test(own));
        expect(command, `${line}`).toBeDefined();
        const help = own + (await helpOf(script, command ?? ""));
        for (const option of words.filter((word) => word.startsWith("--"))) {
          expect(help, `${line}`).toMatch(new RegExp(`${option}\\b`));
        }
      }
    },
  );
});
