import { startScenario } from "../support/scenario.ts";
import { mailboxStory } from "./demo-story.ts";
import { tellStory } from "./tell-story.ts";

console.log(
  "The receiver, served on this machine against an emulated Google. Time is set forward.",
);
const scenario = await startScenario();
process.exitCode = await tellStory(mailboxStory(), scenario, console.log);
await scenario.close();
