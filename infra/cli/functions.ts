import functions from "../../functions/src/entries/functions.json" with { type: "json" };

/** How one function is deployed, by every way. */
export interface FunctionSettings {
  trigger: string;
  retry?: boolean | undefined;
  schedule?: string | undefined;
  retryCount?: number | undefined;
  minBackoffSeconds?: number | undefined;
  public: boolean;
  timeoutSeconds: number;
  memoryMiB: number;
  cpu: number;
  concurrency: number;
  minInstances: number;
  maxInstances: number;
  /** The environment variables that come from Secret Manager. */
  secrets: string[];
}

/** The name of a function in `functions.json`, which is also its entry point. */
export type FunctionName = keyof typeof functions;

/** The functions of the receiver, by name. */
export const FUNCTIONS: Readonly<Record<FunctionName, FunctionSettings>> = functions;
/** Their names, in the order of `functions.json`. */
export const FUNCTION_NAMES = Object.keys(functions) as FunctionName[];

/** Every secret that a function has. */
export const SECRETS = [...new Set(Object.values(functions).flatMap(({ secrets }) => secrets))];
