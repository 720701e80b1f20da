import { readFileSync } from "node:fs";
import { readOptions } from "../support/options.ts";
import { type Verdict, judge } from "./judge.ts";
import { UnreadableLine, readRecording } from "./recording.ts";

const USAGE = `npm run check-recording -- FILE   judges a recorded run by its promises

FILE has one JSON object a line: messages pulled from the topic and documents read from Firestore,
as infra/docs/audit.md says. The exit code is 1 if a promise was broken, and 2 if the file cannot
be read.`;

const { positionals } = readOptions(USAGE, { allowPositionals: true, options: {} });
const [file] = positionals;
if (file === undefined || positionals.length > 1) {
  console.error(USAGE);
  process.exitCode = 2;
} else check(file);

function check(name: string): void {
  try {
    const verdict = judge(readRecording(readFileSync(name, "utf8")));
    print(verdict);
    process.exitCode = verdict.broken.length === 0 ? 0 : 1;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!(error instanceof UnreadableLine) && code === undefined) throw error;
    console.error(`${name}: ${message}`);
    process.exitCode = 2;
  }
}

function print({ broken, unjudged, events, documents, mailboxes }: Verdict): void {
  console.log(`${events} events and ${documents} documents of ${mailboxes} mailboxes`);
  for (const { property, what, at } of broken) {
    console.log(`${property} broken at ${new Date(at).toISOString()}: ${what}`);
  }
  if (broken.length === 0) console.log("no promise is broken, as far as the recording shows");
  for (const each of unjudged) console.log(`not judged: ${each}`);
}
