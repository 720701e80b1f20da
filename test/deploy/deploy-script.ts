import { spawn, spawnSync } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { shellWord } from "../../infra/cli/shell.ts";
import { startCloudEmulator } from "../cloud-emulator/emulator.ts";
import { emptyProject } from "../cloud-emulator/project.ts";
import type { CloudState } from "../cloud-emulator/state.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
export const PROJECT = "demo-proj";
/** On a busy machine. */
const RUN_MS_MAX = 240_000;

/** What `infra/deploy.sh --dry-run` prints for these settings, the lines that are comments apart. */
export function dryRun(envFile: string, ...args: string[]) {
  const { stdout, stderr, status } = spawnSync(
    path.join(ROOT, "infra/deploy.sh"),
    ["--project", PROJECT, "--env-file", envFile, "--dry-run", ...args],
    { encoding: "utf8", timeout: RUN_MS_MAX },
  );
  const lines = stdout.trimEnd().split("\n");
  return { stdout, stderr, status, commands: lines.filter((line) => !line.startsWith("# ")) };
}

/** What somebody at a terminal types once they have been asked. */
export interface Typing {
  after: string;
  text: string;
}

/** A project that `deploy.sh` runs against, as far as the script can tell. */
export interface Cloud {
  /**
   * Runs the script to its end; at a terminal, where this is typed, if anything is to be typed. What
   * it needs of the network is on loopback.
   */
  deploy(options?: {
    typing?: Typing;
    args?: string[];
  }): Promise<{ succeeded: boolean; output: string }>;
  /** Every call of gcloud and npm since this was last asked, in order. */
  calls(): Promise<string[]>;
  /**
   * From now on, also refuse the calls of gcloud that contain this: with these words, and as often as
   * this, or always.
   */
  refuse(part: string, said?: string, times?: number): Promise<void>;
  /** The next run is killed at once when the call of gcloud that contains this is done. */
  killAfter(part: string): Promise<void>;
  /** Every process of this machine, with its arguments, while secrets passed. */
  processes(): Promise<string>;
  /** Refuses nothing any more. */
  allow(): Promise<void>;
  giveSecret(name: string, value: string): Promise<void>;
  /** From now on the settings of the env file are these. */
  set(settings: string): Promise<void>;
  /** From now on there is no env file. */
  removeSettings(): Promise<void>;
  /** From now on a receiver runs in this region, too. */
  giveReceiverIn(region: string): Promise<void>;
  /** A function `connect` that runs already, with these environment variables. */
  giveConnect(environment: Record<string, string>): Promise<void>;
  /** What the admin APIs tell of the project before a deployment. */
  state: CloudState;
  /** What somebody else keeps in the database: rules, or documents in these collections. */
  giveDatabase(of: { rules?: string; collections?: string[] }): void;
  secret(name: string): Promise<string>;
  /** What the functions were given, as it stands in the file. */
  environment(): Promise<Record<string, string>>;
  /** The code that was deployed last. */
  deployedCode(): Promise<string>;
  /** Of Firestore: what is published, and the requests that the API got since this was last asked. */
  rules(): { content: string | undefined; requests: string[] };
  close(): Promise<void>;
}

export const ACCESS_TOKEN = "ya29.access-token-of-the-deploying-person";

/** An empty one. The script runs in a copy of this project, with a build that makes nothing. */
export async function emptyCloud(settings: string): Promise<Cloud> {
  const folder = await mkdtemp(path.join(tmpdir(), "deploy it's-"));
  const project = path.join(folder, "project");
  const bin = path.join(folder, "bin");
  const cloud = path.join(folder, "cloud");
  for (const each of ["things", "secrets", "fields", "refusals"]) {
    await mkdir(path.join(cloud, each), { recursive: true });
  }
  await mkdir(bin);
  await mkdir(path.join(project, "functions/dist"), { recursive: true });
  await cp(path.join(ROOT, "infra"), path.join(project, "infra"), { recursive: true });
  await cp(path.join(ROOT, "functions/src"), path.join(project, "functions/src"), {
    recursive: true,
  });
  await cp(path.join(ROOT, "package.json"), path.join(project, "package.json"));
  await symlink(path.join(ROOT, "node_modules"), path.join(project, "node_modules"));
  await writeFile(path.join(project, `infra/.env.${PROJECT}`), settings);
  const gcloud = path.join(bin, "gcloud");
  await cp(path.join(import.meta.dirname, "gcloud-double.sh"), gcloud);
  await writeFile(path.join(bin, "npm"), '#!/bin/sh\necho "npm $*" >>"$CLOUD/calls"\n');
  // It takes as long as the cloud does, and here that is no time.
  await writeFile(path.join(bin, "sleep"), "#!/bin/sh\n");
  for (const each of ["npm", "sleep"]) await chmod(path.join(bin, each), 0o755);

  const rules = await startRulesApi();
  const apis = await startCloudEmulator(emptyProject(PROJECT, "123"));
  const read = (file: string) => readFile(path.join(cloud, file), "utf8");
  return {
    async deploy({ typing, args: more = [] }: { typing?: Typing; args?: string[] } = {}) {
      const script = [path.join(project, "infra/deploy.sh"), "--project", PROJECT, ...more];
      // Of util-linux: runs a command at a terminal of its own and ends as it does.
      const atTerminal = ["script", "-qec", script.map(shellWord).join(" "), "/dev/null"];
      const [command = "", ...args] = typing === undefined ? script : atTerminal;
      const child = spawn(command, args, {
        env: {
          ...process.env,
          PATH: `${bin}:${process.env["PATH"]}`,
          CLOUD: cloud,
          ACCESS_TOKEN,
          GOOGLE_CLOUD_EMULATOR_HOST: apis.host,
          CLOUDSDK_API_ENDPOINT_OVERRIDES_FIREBASERULES: rules.url,
          CLOUDSDK_API_ENDPOINT_OVERRIDES_FIRESTORE: rules.url,
        },
        timeout: RUN_MS_MAX,
      });
      await writeFile(path.join(cloud, "pid"), String(child.pid));
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (said: string) => {
          output += said;
          if (typing !== undefined && output.endsWith(typing.after)) child.stdin.write(typing.text);
        });
      }
      if (typing === undefined) child.stdin.end();
      const [code] = await once(child, "close");
      return { succeeded: code === 0, output };
    },
    async calls() {
      const lines = (await read("calls").catch(() => "")).trimEnd().split("\n");
      await rm(path.join(cloud, "calls"), { force: true });
      return lines;
    },
    refuse: (part, said = "ERROR: (gcloud) PERMISSION_DENIED", times = 0) =>
      writeFile(
        path.join(cloud, "refusals", part.replaceAll(/\W/g, "-")),
        `${part}\n${times}\n${said}\n`,
      ),
    killAfter: (part) => writeFile(path.join(cloud, "kill"), part),
    processes: () => read("processes"),
    async allow() {
      await rm(path.join(cloud, "refusals"), { recursive: true });
      await mkdir(path.join(cloud, "refusals"));
    },
    giveSecret: async (name, value) => {
      await writeFile(path.join(cloud, "things", `secrets ${name}`), "");
      await writeFile(path.join(cloud, "secrets", name), value);
    },
    set: (text) => writeFile(path.join(project, `infra/.env.${PROJECT}`), text),
    removeSettings: () => rm(path.join(project, `infra/.env.${PROJECT}`)),
    giveReceiverIn: (region) => writeFile(path.join(cloud, "regions"), `${region}\n`),
    giveConnect: async (environment) => {
      await writeFile(path.join(cloud, "things", "functions connect"), "");
      await writeFile(path.join(cloud, "environment"), JSON.stringify(environment));
    },
    state: apis.state,
    giveDatabase: rules.give,
    secret: (name) => read(path.join("secrets", name)),
    environment: async () =>
      JSON.parse(await readFile(path.join(project, "functions/dist/environment.yaml"), "utf8")),
    deployedCode: () => readFile(path.join(project, "functions/dist/gcloud/functions.js"), "utf8"),
    rules: rules.state,
    async close() {
      await rules.close();
      await apis.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The Firebase Rules API, as far as one release needs it, and a database's list of collections. */
async function startRulesApi() {
  let requests: string[] = [];
  let collectionIds: string[] = [];
  const rulesets = new Map<string, unknown>();
  let release: { rulesetName: string } | undefined;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url = "" } = request;
      requests.push(`${method} ${url}`);
      const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
      if (request.headers.authorization !== `Bearer ${ACCESS_TOKEN}`) {
        response.writeHead(401).end();
        return;
      }
      const answer = () => {
        if (url.endsWith(":listCollectionIds"))
          return collectionIds.length > 0 ? { collectionIds } : {};
        if (method === "POST" && url === `/v1/projects/${PROJECT}/rulesets`) {
          const name = `projects/${PROJECT}/rulesets/${rulesets.size + 1}`;
          rulesets.set(name, { name, ...body });
        } else if (method === "POST" && url === `/v1/projects/${PROJECT}/releases`) {
          release = body;
        } else if (method === "PATCH" && url.includes("/releases/cloud.firestore")) {
          release = body.release;
        }
        if (url.includes("/releases")) return release;
        return rulesets.get(url.slice("/v1/".length)) ?? [...rulesets.values()].at(-1);
      };
      const json = answer();
      response.writeHead(json === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(json ?? { error: { code: 404 } }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}/`,
    give({ rules, collections = [] }: { rules?: string; collections?: string[] }) {
      collectionIds = collections;
      if (rules === undefined) return;
      const theirs = `projects/${PROJECT}/rulesets/theirs`;
      rulesets.set(theirs, { name: theirs, source: { files: [{ content: rules }] } });
      release = { rulesetName: theirs };
    },
    state() {
      const ruleset = release && rulesets.get(release.rulesetName);
      const since = requests;
      requests = [];
      return { content: contentOf(ruleset), requests: since };
    },
    close: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

function contentOf(ruleset: unknown): string | undefined {
  const { source } = (ruleset ?? {}) as { source?: { files?: { content?: string }[] } };
  return source?.files?.[0]?.content;
}
