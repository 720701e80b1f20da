/** The bundle that `gcloud functions deploy` uploads; the names are its `--entry-point`s. */
import { after, getReceiver, libraryLog } from "../services.ts";
import { limitBodies } from "./limit-bodies.ts";
import { logPrinting } from "../platform/console-capture.ts";
import { registerFunctions } from "./register.ts";

logPrinting(console, libraryLog);
limitBodies(after);
registerFunctions(getReceiver);
