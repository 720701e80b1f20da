/** The bundle that `gcloud functions deploy` uploads; the names are its `--entry-point`s. */
import { after, getReceiver, getTarget, libraryLog } from "../instance.ts";
import { createNoDomains } from "./domains.ts";
import { limitBodies } from "./limit-bodies.ts";
import { logPrinting } from "../platform/console-capture.ts";
import { READINGS, registerFunctions } from "./register.ts";

logPrinting(console, libraryLog);
if (getTarget() === "gmailNotification") createNoDomains();
limitBodies(after, READINGS[getTarget()]);
registerFunctions(getReceiver, after);
