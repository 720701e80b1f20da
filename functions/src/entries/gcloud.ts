/** The bundle that `gcloud functions deploy` uploads; the names are its `--entry-point`s. */
import { getReceiver, instanceLog } from "../services.ts";
import { logPrinting } from "./printing.ts";
import { registerFunctions } from "./register.ts";

logPrinting(console, instanceLog);
registerFunctions(getReceiver);
