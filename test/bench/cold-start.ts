import { spawnSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { ROOT, START, bundle, makeStart } from "../../functions/bundling.ts";
import { type FunctionProcess, HEAP, type Source, startFunction } from "./function-process.ts";
import { type BenchOptions, type Row, inTurns, toRow } from "./rows.ts";
import { FLOOR, NOTIFICATION_HEADERS, OURS, notificationOf, setStage } from "./stage.ts";

const SOURCES = {
  hello: { folder: "test/bench/baselines/hello", target: "hello", signatureType: "http" },
  ours: OURS,
  firebase: { ...OURS, folder: "functions/dist/firebase" },
  libraries: { ...OURS, folder: "node_modules/.cache/bench-libraries" },
  usual: { ...OURS, folder: "test/bench/baselines/usual" },
  floor: FLOOR,
  landing: { ...OURS, target: "connect", signatureType: "http" },
  start: { ...OURS, target: "connect", signatureType: "http" },
} as const satisfies Record<string, Source>;
type Name = keyof typeof SOURCES;
const NAMES = Object.keys(SOURCES) as Name[];

const MB = 1_000_000;

/** From the start of the process to its listening, and to the first answer: one mailbox, one change. */
export async function coldStart({ runs, note }: BenchOptions): Promise<Row[]> {
  const stage = await setStage();
  try {
    await buildLibraries();
    for (const name of ["ours", "firebase", "libraries"] as const) rehearse(SOURCES[name]);
    await stage.store(runs * NAMES.length);
    let mailbox = -1;
    const medians = await inTurns(NAMES, runs, async (name, run) => {
      note(`cold start of ${name}, ${run + 1} of ${runs}`);
      mailbox += 1;
      stage.google.setHead(mailbox, 2);
      const started = await startFunction(SOURCES[name], stage.env);
      try {
        const status = await firstAnswer(name, started, mailbox);
        const firstMs = started.ageMs();
        if (status >= 400) throw new Error(`${name} answered ${status}\n${started.output()}`);
        const { cpuMs, peakBytes } = await started.usage();
        return { readyMs: started.readyMs, firstMs, cpuMs, peakMb: peakBytes / MB };
      } finally {
        await started.stop();
      }
    });
    return toRows(medians);
  } finally {
    stage.close();
  }
}

/** Sends the first request; resolves to the status of its answer. */
function firstAnswer(name: Name, started: FunctionProcess, mailbox: number): Promise<number> {
  switch (name) {
    case "hello":
      return started.post("{}");
    case "landing":
      return started.get("/");
    case "start":
      return started.get("/start");
    default:
      return started.post(notificationOf(mailbox, 2), NOTIFICATION_HEADERS);
  }
}

/** The floor, made into a folder like ours, with all of the client libraries: what they take by themselves. */
async function buildLibraries(): Promise<void> {
  const folder = path.join(ROOT, SOURCES.libraries.folder);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const framework = "@google-cloud/functions-framework";
  await bundle(`${FLOOR.folder}/index.js`, path.join(folder, "functions.js"), [framework]);
  await makeStart(folder);
  const manifest = { type: "commonjs", main: START };
  await writeFile(path.join(folder, "package.json"), JSON.stringify(manifest));
}

/** As the build of a deployment does with `postinstall`. */
function rehearse({ folder }: Source): void {
  const options = { cwd: path.join(ROOT, folder), encoding: "utf8" } as const;
  const { stdout, stderr } = spawnSync(process.execPath, [HEAP, "rehearsal.js"], options);
  if (!stdout.startsWith("rehearsed: gmailNotification"))
    throw new Error(`${folder}: ${stdout}${stderr}`);
}

type Figures = Record<"readyMs" | "firstMs" | "cpuMs" | "peakMb", number>;

function toRows(medians: Record<Name, Figures>): Row[] {
  const { hello, ours, firebase, libraries, usual, floor, landing, start } = medians;
  const against = "hello world's first answer";
  const first = (of: Figures, reference: Figures) => ({
    ours: of.firstMs,
    reference: reference.firstMs,
  });
  const ready = (of: Figures) => ({ ours: of.readyMs, reference: hello.firstMs });
  const peak = (of: Figures, reference: Figures) => ({
    ours: of.peakMb,
    reference: reference.peakMb,
  });
  return [
    toRow("cold-start.ready", "ms", ready(ours), `listening; ${against}`),
    toRow(
      "cold-start.first-notification",
      "ms",
      first(ours, hello),
      `a change published and noted; ${against}`,
    ),
    toRow(
      "cold-start.cpu",
      "ms",
      { ours: ours.cpuMs, reference: hello.cpuMs },
      `CPU until then; ${against}`,
    ),
    toRow("cold-start.memory", "MB", peak(ours, hello), `peak until then; ${against}`),
    toRow("cold-start.ready.firebase", "ms", ready(firebase), `listening; ${against}`),
    toRow(
      "cold-start.first-notification.firebase",
      "ms",
      first(firebase, hello),
      `the firebase folder; ${against}`,
    ),
    toRow(
      "cold-start.memory.firebase",
      "MB",
      peak(firebase, hello),
      `the firebase folder; ${against}`,
    ),
    toRow(
      "cold-start.first-notification.libraries",
      "ms",
      first(ours, libraries),
      "the same calls by hand with the same client libraries, bundled like ours",
    ),
    toRow(
      "cold-start.first-notification.usual",
      "ms",
      first(ours, usual),
      "everything imported and made at import, unbundled",
    ),
    toRow("cold-start.memory.usual", "MB", peak(ours, usual), "the same"),
    toRow(
      "cold-start.first-notification.floor",
      "ms",
      first(ours, floor),
      "the same calls by hand, unbundled",
    ),
    toRow("cold-start.page", "ms", first(landing, hello), `the start page; ${against}`),
    toRow("cold-start.click", "ms", first(start, hello), `on the way to Google; ${against}`),
  ];
}
