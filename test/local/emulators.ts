import { type FirebaseStack, findFirebaseStack, startFirebaseStack } from "./firebase-stack.ts";
import { startSchedules } from "./schedules.ts";

/**
 * `npm run emulators`: the built firebase folder in the Firebase CLI's Functions emulator, with the
 * Firestore and Pub/Sub emulators, against the Gmail emulator.
 */
const ACCOUNT = "ada@example.com";
/** 128 + SIGINT, as a shell reports it. */
const INTERRUPTED = 130;

const found = findFirebaseStack();
if (found.kind === "found") await run();
else {
  console.error(found.why);
  process.exitCode = 1;
}

async function run(): Promise<void> {
  const interrupted = whenInterrupted();
  const stack = await startFirebaseStack({
    wantsUsualPorts: true,
    onOutput: (text) => void process.stdout.write(text),
    onChange: ({ text, attributes }) => console.log(`\n${attributes["ce-type"]} ${text}\n`),
  });
  stack.emulator.createAccount({ email: ACCOUNT });
  // The Functions emulator runs no schedule by itself.
  const schedules = startSchedules(stack.runSchedule);
  console.log(guide(stack));
  await interrupted;
  schedules.stop();
  await stack.close();
  // Connections that are kept alive would hold us here for a while.
  process.exit();
}

/**
 * Ctrl-C, or the end of the session. It may come while things are being started: then they are
 * stopped as soon as they run. A second one does not wait.
 */
function whenInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        signals += 1;
        if (signals === 2) process.exit(INTERRUPTED);
        console.log("\nstopping everything that was started; once more to stop at once");
        resolve();
      });
    }
  });
}

function guide(stack: FirebaseStack): string {
  const { emulator, publicUrl, gmailApiUrl, firestoreHost, pubsubHost, operatorEnvFile } = stack;
  const act = (name: string, body: Record<string, unknown>) =>
    `  curl -d '${JSON.stringify({ account: ACCOUNT, ...body })}' ${emulator.url}/emulator/${name}`;
  return `
the pages             ${publicUrl}/
the Gmail emulator    ${emulator.url}
Firestore             FIRESTORE_EMULATOR_HOST=${firestoreHost}
Pub/Sub               PUBSUB_EMULATOR_HOST=${pubsubHost}
to read mail          GMAIL_API_URL=${gmailApiUrl} GCE_METADATA_HOST=${emulator.host}
is all well?          npm run doctor -- --local ${operatorEnvFile}

To connect a mailbox, open ${publicUrl}/start and choose ${ACCOUNT}.
Then let something happen in it; changes are shown here as a subscriber receives them.

${act("deliver", { subject: "hello" })}
${act("change-password", {})}

The operator's view of it, from another terminal:

  npx tsx --env-file=${operatorEnvFile} infra/cli/gmail-push.ts mailboxes stats

Ctrl-C stops everything that was started.
`;
}
