import { spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EVENT_TYPES } from "../../functions/subscriber/events.ts";
import { ROOT, VERSION, installPacked, run } from "./packed.ts";

/** Goal: the package works for a subscriber who has only its archive. */

const BYTES_MAX = 250_000;
const TIMEOUT_MS = 120_000;

const BODY = {
  message: {
    attributes: {
      "ce-specversion": "1.0",
      "ce-id": "108/deleted",
      "ce-type": "mailbox.message.deleted",
      "ce-source": "//gmail.googleapis.com/users/108",
    },
    data: Buffer.from(
      JSON.stringify({ userId: "108", emailAddress: "a@b.c", historyId: "1", messageId: "18b" }),
    ).toString("base64"),
  },
};

/** Reads an event, handles it twice, and refuses a push without a token. */
const USE = `
const parsed = parse(${JSON.stringify(BODY)});
const handleOnce = once(memoryStore());
const outcomes = [];
for (let time = 0; time < 2; time += 1) outcomes.push(handleOnce(parsed.event, async () => {}));
Promise.all([
  Promise.all(outcomes),
  verifyPush({ headers: {} }, { audience: "a", serviceAccount: "b" }),
]).then(([outcomes, verified]) => {
  console.log(JSON.stringify({ kind: parsed.kind, id: parsed.event.data.messageId, outcomes, verified: verified.kind }));
});
`;

const TYPED = `
import { type MailboxEvent, firestoreStore, memoryStore, once, parse } from "gmail-push-subscriber";
import type { MessageAdded } from "gmail-push-subscriber";

export function subjectOf(event: MailboxEvent): string {
  switch (event.type) {
    case "mailbox.message.added": {
      const data: MessageAdded = event.data;
      return data.messageId;
    }
    case "mailbox.gap":
      return event.data.since;
    default:
      // @ts-expect-error: not every other event is about a message.
      return event.data.messageId;
  }
}

export async function handle(body: unknown): Promise<string> {
  const parsed = parse(body);
  if (parsed.kind !== "event") return parsed.kind;
  return once(memoryStore())(parsed.event, () => Promise.resolve());
}

export const stores = [memoryStore, firestoreStore];
`;

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "subscriber-package-"));
  await installPacked(folder);
}, TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const inUser = (file: string) => path.join(folder, "user", file);

describe("the subscriber's package", { timeout: TIMEOUT_MS }, () => {
  it("is installed without a network, and brings no other package", () => {
    const installed = readdirSync(inUser("node_modules")).filter((name) => !name.startsWith("."));
    expect(installed).toEqual(["gmail-push-subscriber"]);
    const manifest = JSON.parse(
      readFileSync(inUser("node_modules/gmail-push-subscriber/package.json"), "utf8"),
    );
    expect(manifest).toMatchObject({ name: "gmail-push-subscriber", version: VERSION });
    expect(manifest).not.toHaveProperty("dependencies");
  });

  it.each([
    [
      "import",
      "use.mjs",
      `import { memoryStore, once, parse, verifyPush } from "gmail-push-subscriber";`,
    ],
    [
      "require",
      "use.cjs",
      `const { memoryStore, once, parse, verifyPush } = require("gmail-push-subscriber");`,
    ],
  ])("works by %s", (_, file, load) => {
    writeFileSync(inUser(file), `${load}\n${USE}`);
    expect(JSON.parse(run(process.execPath, [file], inUser(".")))).toEqual({
      kind: "event",
      id: "18b",
      outcomes: ["handled", "busy"],
      verified: "refused",
    });
  });

  it.each(["typed.mts", "typed.cts"])("has types that TypeScript takes from %s", (file) => {
    writeFileSync(inUser(file), TYPED);
    const options = ["--strict", "--noEmit", "--module", "nodenext", "--lib", "es2023,dom"];
    const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc");
    expect(run(process.execPath, [tsc, ...options, "--types", "", file], inUser("."))).toBe("");
  });

  it("has a schema for every type of event, and the licences of what is bundled", () => {
    const own = (file: string) => inUser(`node_modules/gmail-push-subscriber/${file}`);
    const schemas = readdirSync(own("schemas"));
    expect(schemas.toSorted()).toEqual(EVENT_TYPES.map((type) => `${type}.json`).toSorted());
    const notices = readFileSync(own("THIRD-PARTY-NOTICES.txt"), "utf8");
    for (const name of ["jose", "zod"]) expect(notices).toMatch(new RegExp(`^${name} \\d`, "m"));
  });

  it("is small enough to be loaded by a function that starts", () => {
    const built = path.join(folder, "built");
    for (const file of ["index.js", "index.cjs"]) {
      expect(readFileSync(path.join(built, file)).length).toBeLessThan(BYTES_MAX);
    }
  });

  it("needs googleapis for Gmail, says so without it, and works with it", () => {
    const load = `import("gmail-push-subscriber/gmail")`;
    const required = `Promise.resolve(require("gmail-push-subscriber/gmail"))`;
    const use = (how: string) => `
      ${how}
        .then(({ gmail }) => gmail("108", { url: "https://gmailapi.example", idToken: async () => "token" }))
        .then(({ context, users }) => console.log(context._options.rootUrl, typeof users.messages.get));
    `;
    writeFileSync(inUser("gmail.cjs"), use(required));
    writeFileSync(inUser("gmail.mjs"), use(load));
    const missing = spawnSync(process.execPath, ["gmail.mjs"], {
      cwd: inUser("."),
      encoding: "utf8",
    });
    expect(missing.status).not.toBe(0);
    expect(missing.stderr).toMatch(/Cannot find package 'googleapis'/);

    symlinkSync(path.join(ROOT, "node_modules/googleapis"), inUser("node_modules/googleapis"));
    for (const file of ["gmail.mjs", "gmail.cjs"]) {
      expect(run(process.execPath, [file], inUser("."))).toBe(
        "https://gmailapi.example/ function\n",
      );
    }
  });
});
