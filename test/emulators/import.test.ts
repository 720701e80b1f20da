import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connect } from "../gmail-emulator/application.ts";
import { DEFAULT_CLIENT, startGmailEmulator } from "../gmail-emulator/emulator.ts";
import { PROJECT, makeTokenKeys, requiredEnv } from "../local/environment.ts";
import { randomStreams } from "../simulation/random.ts";
import { firestoreForTests, pubsubForTests } from "../support/emulator-for-tests.ts";
import { dumpDatabase, openDatabase } from "../support/firestore-emulator.ts";
import { runInfra, startInfra } from "../support/infra-command.ts";
import { openPubsub, subscribe } from "../support/pubsub-emulator.ts";

const GRANTS = Number(process.env["IMPORT_GRANTS"] ?? 60);
const SEED = Number(process.env["IMPORT_SEED"] ?? 1);
const DATABASE = `import-${randomBytes(4).toString("hex")}`;
const RUNS_MAX = 100;
const CONSENTS_AT_ONCE = 20;

const firestore = firestoreForTests();
const pubsubEmulator = pubsubForTests();

/** The command as a process on a real Firestore and a real topic, killed again and again. */
describe.skipIf(!firestore.isHad || !pubsubEmulator.isHad)("an import that is killed", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "import-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it(`adopts each of ${GRANTS} grants once, and writes no token anywhere (seed ${SEED})`, async () => {
    const startedAt = Date.now();
    const random = randomStreams(SEED)("import");
    const topic = `mailbox-changes-${randomBytes(4).toString("hex")}`;
    const emulator = await startGmailEmulator({
      topics: [`projects/${PROJECT}/topics/gmail-notifications`],
    });
    const database = openDatabase(firestore, PROJECT, DATABASE);
    const pubsub = openPubsub(pubsubEmulator, PROJECT);
    const subscriber = await subscribe(pubsub, topic);
    const [redirect_uri = ""] = DEFAULT_CLIENT.redirectUris;
    const env = {
      ...requiredEnv(PROJECT, redirect_uri.replace(/\/callback$/, "")),
      TOKEN_KEYS: makeTokenKeys(),
      CHANGES_TOPIC: topic,
      FIRESTORE_DATABASE: DATABASE,
      GMAIL_EMULATOR_HOST: emulator.host,
      FIRESTORE_EMULATOR_HOST: firestore.host,
      PUBSUB_EMULATOR_HOST: pubsubEmulator.host,
    };
    try {
      const accounts = Array.from({ length: GRANTS }, (_, index) =>
        emulator.createAccount({ email: `person${index}@example.com` }),
      );
      const lines: string[] = [];
      for (let first = 0; first < GRANTS; first += CONSENTS_AT_ONCE) {
        const some = accounts.slice(first, first + CONSENTS_AT_ONCE);
        const granted = await Promise.all(
          some.map(({ email }) => connect(emulator, email, { redirect_uri })),
        );
        lines.push(...granted.map(({ refreshToken }) => JSON.stringify({ refreshToken })));
      }
      const file = path.join(folder, "grants.ndjson");
      await writeFile(file, lines.join("\n"), { mode: 0o600 });
      // Google replaces every token, and still takes the old ones: some answers never arrive.
      Object.assign(emulator.settings, {
        refreshTokenRotations: Number.MAX_SAFE_INTEGER,
        rotatedTokenDies: false,
      });

      const outputs: string[] = [];
      let kills = 0;
      let isDone = false;
      for (let runs = 0; !isDone && runs < RUNS_MAX; runs++) {
        // It dies with several grants half adopted, after as many as chance decides.
        const diesAfter = random.int(1, Math.ceil(GRANTS / 5));
        const { ended } = startInfra("mailboxes", ["import", file, "--json"], {
          env,
          isToBeKilled: (stderr) => stderr.split('"user_connected"').length > diesAfter,
        });
        const { code, stdout, stderr } = await ended;
        outputs.push(stdout, stderr);
        isDone = code === 0;
        if (code === null) kills += 1;
      }
      const last = await runInfra("mailboxes", ["import", file, "--json"], { env });
      outputs.push(last.stdout, last.stderr);
      console.table({ grants: GRANTS, kills, seconds: (Date.now() - startedAt) / 1_000 });

      expect(isDone).toBe(true);
      expect(kills).toBeGreaterThan(0);
      expect(JSON.parse(last.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({
        isDone: true,
        grants: { adopted: 0, adopted_before: GRANTS, known: 0, refused: 0, failed: 0 },
      });
      const journal = await readFile(`${file}.rotated`, "utf8");

      const stored = await dumpDatabase(database);
      const ids = accounts.map(({ sub }) => sub);
      expect(Object.keys(stored).sort()).toEqual(ids.map((id) => `users/${id}`).sort());
      for (const user of Object.values(stored)) {
        expect(user).toMatchObject({ status: "active", grant: { generation: 1 } });
      }
      // The reconciliation publishes the status of those whose run died before it could.
      const connected = () =>
        new Set(
          subscriber.received
            .filter(({ attributes }) => attributes["ce-type"] === "mailbox.connected")
            .map(({ attributes }) => attributes["ce-id"] ?? ""),
        );
      const announced = Object.entries(stored)
        .filter(([, user]) => (user as { followUp: object }).followUp.hasOwnProperty("announced"))
        .map(([name]) => `${name.slice("users/".length)}/connected/1`);
      expect(announced.length).toBeGreaterThan(GRANTS / 2);
      await vi.waitFor(() => {
        for (const id of announced) expect(connected()).toContain(id);
      }, 20_000);

      const written = [...outputs, journal, JSON.stringify(stored)].join("\n");
      expect(written).toContain('"outcome":"adopted"');
      expect(emulator.secretsIssued().filter((secret) => written.includes(secret))).toEqual([]);
    } finally {
      await subscriber.close();
      await Promise.all([pubsub.close(), database.terminate(), emulator.close()]);
    }
  }, 900_000);
});
