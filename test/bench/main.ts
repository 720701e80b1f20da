import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { readOptions } from "../support/options.ts";
import { bombs } from "./bombs.ts";
import { catchUp } from "./catch-up.ts";
import { coldStart } from "./cold-start.ts";
import { gmailApi } from "./gmail-api.ts";
import { notifications } from "./notification.ts";
import { operations } from "./operations.ts";
import { renewal } from "./renewal.ts";
import type { BenchOptions, Row } from "./rows.ts";
import { snapshots } from "./snapshot.ts";

const USAGE = `npm run bench -- [row prefix ...] [options]
  --runs N         every time is the median of N, taken in turn with its reference (3)
  --full           the renewal of 100 000 mailboxes and a snapshot of 100 000 messages too
  --json FILE      write the rows there
  --compare FILE   show each ratio beside that of an earlier run's --json`;

/** What measures the rows whose names begin so. */
const BENCHES: readonly [prefixes: readonly string[], (options: BenchOptions) => Promise<Row[]>][] =
  [
    [["operations"], operations],
    [["cold-start"], coldStart],
    [["notification", "storm"], notifications],
    [["catch-up"], catchUp],
    [["renewal"], renewal],
    [["snapshot"], snapshots],
    [["gmail-api"], gmailApi],
    [["bomb"], bombs],
  ];

const { values, positionals } = readOptions(USAGE, {
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "3" },
    full: { type: "boolean", default: false },
    json: { type: "string" },
    compare: { type: "string" },
  },
});

if (/^[1-9]\d?$/.test(values.runs) && BENCHES.some(isAnyWanted)) await bench();
else {
  console.error(USAGE);
  process.exitCode = 2;
}

type Bench = (typeof BENCHES)[number];

function isAnyWanted([prefixes]: Bench): boolean {
  return prefixes.some((prefix) => isWanted(prefix, true));
}

async function bench(): Promise<void> {
  console.log(
    `Node ${process.version}, ${availableParallelism()} processors (${cpus()[0]?.model})`,
  );
  const rows: Row[] = [];
  for (const [, measure] of BENCHES.filter(isAnyWanted)) {
    const measured = await measure({
      runs: Number(values.runs),
      isFull: values.full,
      note: (line) => process.stderr.isTTY && process.stderr.write(`\r\u001b[K${line}`),
    });
    rows.push(...measured.filter(({ row }) => isWanted(row, false)));
  }
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  if (rows.length === 0) throw new Error(`no row begins with ${positionals.join(" or ")}`);
  const before = values.compare === undefined ? [] : await readRows(values.compare);
  print(rows, before);
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, null, 2)}\n`);
}

/** Rows are picked by prefix; a bench runs when one of its rows could be. */
function isWanted(name: string, isBench: boolean): boolean {
  return (
    positionals.length === 0 ||
    positionals.some((wanted) => name.startsWith(wanted) || (isBench && wanted.startsWith(name)))
  );
}

async function readRows(file: string): Promise<Row[]> {
  return JSON.parse(await readFile(file, "utf8")) as Row[];
}

function print(rows: readonly Row[], before: readonly Row[]): void {
  const figure = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  const table = rows.map(({ row, unit, ours, reference, ratio, what }) => {
    const was = before.find((earlier) => earlier.row === row)?.ratio;
    const drift = was === undefined ? [] : [was.toFixed(2), percent(ratio / was - 1)];
    const shown = [row, figure(ours), figure(reference), unit, ratio.toFixed(2)];
    return [...shown, ...(before.length === 0 ? [] : [drift[0] ?? "", drift[1] ?? ""]), what];
  });
  const drift = before.length === 0 ? [] : ["was", "drift"];
  const head = ["row", "ours", "reference", "unit", "ratio", ...drift, "reference, what"];
  const widths = head.map((_, column) =>
    Math.max(...[head, ...table].map((line) => line[column]?.length ?? 0)),
  );
  for (const line of [head, ...table]) {
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}

function percent(part: number): string {
  return `${part >= 0 ? "+" : ""}${(part * 100).toFixed(0)} %`;
}
