/** The bundle that `gcloud functions deploy` uploads; the names are its `--entry-point`s. */
import { after, areCallsRepeated, getBodyReading, getReceiver, libraryLog } from "../instance.ts";
import { createNoDomains } from "./domains.ts";
import { limitBodies } from "./limit-bodies.ts";
import { logPrinting } from "../platform/console-capture.ts";
import { registerFunctions } from "./register.ts";

logPrinting(console, libraryLog);
if (areCallsRepeated()) createNoDomains();
limitBodies(after, getBodyReading());
registerFunctions(getReceiver, after);
