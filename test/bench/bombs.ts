import { requiredEnv } from "../local/environment.ts";
import { BOMBS } from "../emulators/bombs.ts";
import { startFunction } from "./function-process.ts";
import { type BenchOptions, type Row, toRow, withProcesses } from "./rows.ts";

const MB = 1_000_000;
const CONNECT = {
  folder: "functions/dist/gcloud",
  target: "connect",
  signatureType: "http",
} as const;

/** What strangers can make the public function keep in memory, in addition to what it takes at rest. */
export async function bombs({ note }: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [what, bomb] of Object.entries(BOMBS)) {
    note(`bomb: ${what}`);
    const figures = await withProcesses(
      () => [startFunction(CONNECT, requiredEnv())],
      async ([started]) => {
        if (started === undefined) throw new Error("it was not started");
        await started.post("a=b", { connection: "close" });
        const { peakBytes: atRest } = await started.usage();
        const { looked } = await bomb.send(started.port, started.usage);
        return { ours: looked.peakBytes / MB, reference: atRest / MB };
      },
    );
    rows.push(toRow(`bomb.${bomb.name}`, "MB", figures, `at rest; connect, ${what}`));
  }
  return rows;
}
