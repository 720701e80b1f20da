import { availableParallelism, cpus } from "node:os";
import { startEmulator } from "../support/emulator-source.ts";
import { findFirestoreEmulator } from "../support/firestore-emulator.ts";
import { readOptions } from "../support/options.ts";
import { dueLists, tableOfDueLists } from "./due-lists.ts";
import type { Figure, ScaleOptions } from "./figures.ts";
import { outage, tableOfOutage } from "./outage.ts";
import { renewalDay, tableOfRenewalDay } from "./renewal-day.ts";
import { revocation, tableOfRevocation } from "./revocation.ts";

const USAGE = `npm run scale -- [due-lists] [renewal] [outage] [revocation] [options]
  --users N            mailboxes (100000)
  --concurrency N      of renewals and of the reconciliation (as configured)
  --store WHERE        memory, which is the fastest (memory); stub: Firestore's client and the bench's stub; emulator:
                       the Firestore emulator, which reads all documents for each query`;

const REVOKED_MAX = 5_000;

const { values, positionals } = readOptions(USAGE, {
  allowPositionals: true,
  options: {
    users: { type: "string", default: "100000" },
    concurrency: { type: "string" },
    store: { type: "string", default: "memory" },
  },
});

const { concurrency } = values;
const settings = concurrency === undefined ? "as configured" : `${concurrency} at a time`;
const env =
  concurrency === undefined
    ? undefined
    : { RENEWAL_CONCURRENCY: concurrency, RECONCILIATION_CONCURRENCY: concurrency };

type Scenario = (options: ScaleOptions) => Promise<Figure[]>;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "due-lists": async (options) => tableOfDueLists(await dueLists(options)),
  renewal: async (options) => tableOfRenewalDay(await renewalDay(options, env), settings),
  outage: async (options) => tableOfOutage(await outage(options, env), settings),
  async revocation(options) {
    const revoked = Math.min(REVOKED_MAX, Math.ceil(options.users / 20));
    const some = await revocation(options, revoked, env);
    const all = await revocation({ ...options, users: revoked }, revoked, env);
    return [...tableOfRevocation(some), ...tableOfRevocation(all)];
  },
};

const wanted = positionals.length === 0 ? Object.keys(SCENARIOS) : positionals;
const isKnown =
  wanted.every((name) => SCENARIOS[name] !== undefined) &&
  ["memory", "stub", "emulator"].includes(values.store);
if (isKnown && /^[1-9]\d{0,6}$/.test(values.users)) await measure();
else {
  console.error(USAGE);
  process.exitCode = 2;
}

async function measure(): Promise<void> {
  console.log(
    `Node ${process.version}, ${availableParallelism()} processors (${cpus()[0]?.model})`,
  );
  const isEmulated = values.store === "emulator";
  const emulator = isEmulated ? await startEmulator(findFirestoreEmulator()) : undefined;
  const own = values.store === "stub" ? "stub" : "memory";
  try {
    for (const name of wanted) {
      const figures = await SCENARIOS[name]?.({
        users: Number(values.users),
        store: emulator === undefined ? own : { firestoreHost: emulator.host },
        note: (line) => console.error(line),
      });
      for (const { what, figure, limit } of figures ?? []) {
        console.log(`| ${what} | ${figure} | ${limit} |`);
      }
    }
  } finally {
    await emulator?.stop();
  }
}
