import { startMailSink } from "../support/mail-sink.ts";
import { startScenario } from "../support/scenario.ts";
import { mailboxStory } from "./demo-story.ts";
import { tellStory } from "./tell-story.ts";

// A reader that has seen enough (`| head`) is not a failure.
process.stdout.on("error", () => process.exit());

console.log(
  "The receiver, served on this machine against an emulated Google. Time is set forward.",
);
const sink = await startMailSink();
const env = { NOTICE_SMTP_URL: sink.url, NOTICE_FROM: "Local receiver <mail@localhost>" };
const scenario = await startScenario({ env });
process.exitCode = await tellStory(mailboxStory(sink), scenario, console.log);
await scenario.close();
await sink.close();
