/** The bundle that `gcloud functions deploy` uploads; the names are its `--entry-point`s. */
import { getReceiver } from "../services.ts";
import { registerFunctions } from "./register.ts";

registerFunctions(getReceiver);
