import { writeFileSync } from "node:fs";
import { readOptions } from "../support/options.ts";
import { findStage, runStorm } from "./storm.ts";

const USAGE = `Usage: npx tsx test/storm/main.ts [options]
  --seed N       what is done, and in which order (1)
  --kills N      how often a notified process is killed (200)
  --built DIR    the built folder to serve (functions/dist/gcloud)
  --record FILE  keep the recording that the storm is judged by (npm run check-recording)`;

const { values } = readOptions(USAGE, {
  options: {
    seed: { type: "string", default: "1" },
    kills: { type: "string", default: "200" },
    built: { type: "string" },
    record: { type: "string" },
  },
});

// What was started ends with this process, but only if it exits by itself.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const stage = findStage(values.built);
if (stage.kind === "missing") {
  console.error(stage.why);
  process.exitCode = 1;
} else {
  const { findings, ...table } = await runStorm({
    seed: Number(values.seed),
    kills: Number(values.kills),
    ...(values.built !== undefined && { built: values.built }),
    record(recording) {
      if (values.record !== undefined) writeFileSync(values.record, recording);
    },
    onProgress: (line) => console.error(line),
  });
  console.table(table);
  for (const finding of findings) console.error(finding);
  if (findings.length > 0 || table.unsettled > 0) process.exitCode = 1;
}
