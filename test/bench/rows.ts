import type { FunctionProcess } from "./function-process.ts";

/** One figure and its reference, measured in the same run on the same machine. */
export interface Row {
  row: string;
  unit: string;
  ours: number;
  reference: number;
  /** Ours divided by the reference. */
  ratio: number;
  /** What the reference is, and what was done. */
  what: string;
}

export interface BenchOptions {
  /** Each figure is the median of so many, taken in turn. */
  runs: number;
  /** The sizes that take minutes too. */
  isFull: boolean;
  note(line: string): void;
}

export function toRow(
  row: string,
  unit: string,
  figures: { ours: number; reference: number },
  what: string,
): Row {
  const { ours, reference } = figures;
  return { row, unit, ours, reference, ratio: ours / reference, what };
}

export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** At least this part of the figures is no greater. */
export function quantile(figures: readonly number[], part: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

/** Measures each in turn, so many times; resolves to the median of every figure, by contestant. */
export async function inTurns<Name extends string, Figure extends string>(
  names: readonly Name[],
  runs: number,
  measure: (name: Name, run: number) => Promise<Record<Figure, number>>,
): Promise<Record<Name, Record<Figure, number>>> {
  const taken = new Map<Name, Record<Figure, number>[]>(names.map((name) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (const name of names) taken.get(name)?.push(await measure(name, run));
  }
  const medians = names.map((name) => {
    const all = taken.get(name) ?? [];
    const figures = Object.keys(all[0] ?? {}) as Figure[];
    return [
      name,
      Object.fromEntries(figures.map((figure) => [figure, median(all.map((one) => one[figure]))])),
    ];
  });
  return Object.fromEntries(medians);
}

/** Stops what was started, however the measuring ends. */
export async function withProcesses<T>(
  start: () => Promise<FunctionProcess>[],
  use: (processes: FunctionProcess[]) => Promise<T>,
): Promise<T> {
  const started = await Promise.all(start());
  try {
    return await use(started);
  } finally {
    await Promise.all(started.map((each) => each.stop()));
  }
}
