/** The bundle that `gcloud functions deploy` uploads; the names are its `--entry-point`s. */
import { after, getBodyReading, getReceiver, isNotified, libraryLog } from "../instance.ts";
import { createNoDomains } from "./domains.ts";
import { limitBodies } from "./limit-bodies.ts";
import { logPrinting } from "../platform/console-capture.ts";
import { registerFunctions } from "./register.ts";

logPrinting(console, libraryLog);
if (isNotified()) createNoDomains();
limitBodies(after, isNotified() ? "raw" : getBodyReading());
registerFunctions(getReceiver, after);
