import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isHad } from "../support/emulator-source.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { AUTHORIZATION } from "./calls.ts";

/** Goal: google-api-python-client, unmodified, reads mail with gmailApi as its root URL. */

const ADA = "ada@example.com";
const PROGRAM = path.join(import.meta.dirname, "read_mail.py");

/** Debian installs its modules for Debian's own Python, which need not be the first on the path. */
const python = ["python3", "/usr/bin/python3"].find(
  (command) => spawnSync(command, ["-c", "import googleapiclient"]).status === 0,
);
const client =
  python === undefined
    ? { kind: "missing" as const, why: "apt-get install python3-googleapi" }
    : { kind: "found" as const };

/** A method as Google's discovery documents describe it. */
function method(id: string, below: string, query: Record<string, object> = {}): object {
  const inPath = [...below.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const required = { type: "string", location: "path", required: true };
  return {
    id: `gmail.users.${id}`,
    httpMethod: "GET",
    path: `gmail/v1/users/${below}`,
    parameters: { ...Object.fromEntries(inPath.map((name) => [name, required])), ...query },
    parameterOrder: inPath,
    response: { $ref: "Page" },
  };
}

const TEXT = { type: "string", location: "query" };

/** The client builds its functions from a discovery document, and would fetch Gmail's from Google. */
const DISCOVERY = {
  name: "gmail",
  version: "v1",
  rootUrl: "https://gmail.googleapis.com/",
  servicePath: "",
  batchPath: "batch",
  schemas: { Page: { id: "Page", type: "object", properties: { nextPageToken: TEXT } } },
  resources: {
    users: {
      resources: {
        labels: { methods: { list: method("labels.list", "{userId}/labels") } },
        messages: {
          methods: {
            get: method("messages.get", "{userId}/messages/{id}", { format: TEXT }),
            list: method("messages.list", "{userId}/messages", {
              labelIds: { ...TEXT, repeated: true },
              maxResults: { type: "integer", location: "query" },
              pageToken: TEXT,
            }),
          },
          resources: {
            attachments: {
              methods: {
                get: method(
                  "messages.attachments.get",
                  "{userId}/messages/{messageId}/attachments/{id}",
                ),
              },
            },
          },
        },
      },
    },
  },
};

let scenario: Scenario;
let folder: string;
beforeAll(async () => {
  scenario = await startScenario({ env: { GMAIL_SCOPES: "gmail.readonly" } });
  await scenario.connect(ADA);
  folder = mkdtempSync(path.join(tmpdir(), "discovery-"));
  writeFileSync(path.join(folder, "gmail.json"), JSON.stringify(DISCOVERY));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await scenario.close();
});

describe.skipIf(!isHad(client))("google-api-python-client", () => {
  it("lists messages page by page, reads them with attachments, and resolves labels", async () => {
    const { emulator, urls } = scenario;
    const attachments = [
      { filename: "contract.txt", mimeType: "text/plain", data: Buffer.from("Größe, ~?>") },
    ];
    emulator.deliver(ADA, { subject: "Offer", labelIds: ["INBOX"], attachments });
    emulator.deliver(ADA, { subject: "Hello", labelIds: ["INBOX", "STARRED"] });
    const args = [PROGRAM, urls.gmailApi, path.join(folder, "gmail.json"), scenario.stored(ADA).id];
    const [, ID_TOKEN = ""] = AUTHORIZATION.authorization.split(" ");
    const env = { ...process.env, ID_TOKEN };
    const { stdout } = await promisify(execFile)(python ?? "", args, { env });
    const lines = stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { subject: "Offer", labels: ["INBOX"], files: { "contract.txt": "Größe, ~?>" } },
      { subject: "Hello", labels: ["INBOX", "STARRED"], files: {} },
      { status: 400, message: "Invalid id value" },
    ]);
    const passed = scenario.logged("gmail_api_called").map((line) => line["method"]);
    expect(passed).toEqual(expect.arrayContaining(["messages.list", "messages.attachments.get"]));
  });
});
