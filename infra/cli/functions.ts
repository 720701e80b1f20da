import functions from "../../functions/src/entries/functions.json" with { type: "json" };

/** How one function is deployed, whatever deploys it. */
export interface FunctionSettings {
  trigger: string;
  retry?: boolean;
  schedule?: string;
  retryCount?: number;
  minBackoffSeconds?: number;
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

export type FunctionName = keyof typeof functions;

/** The functions of the receiver, by name. */
export const FUNCTIONS: Readonly<Record<FunctionName, FunctionSettings>> = functions;
export const FUNCTION_NAMES = Object.keys(functions) as FunctionName[];

/** Every secret that a function has. */
export const SECRETS = [...new Set(Object.values(functions).flatMap(({ secrets }) => secrets))];
