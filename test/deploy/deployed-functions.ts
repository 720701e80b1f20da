import settings from "../../functions/src/entries/functions.json" with { type: "json" };

/** A function as Google is asked to make it. */
export interface Deployed {
  entryPoint: string;
  region: string;
  runtime: string;
  topic: string | undefined;
  retry: boolean;
  public: boolean;
  ingress: string;
  memory: string;
  cpu: string;
  concurrency: number;
  timeoutSeconds: number;
  minInstances: number;
  maxInstances: number;
  secrets: string[];
  schedule:
    | {
        schedule: string;
        timeZone: string;
        attemptDeadline: string;
        retryCount: number;
        minBackoff: string;
      }
    | undefined;
}

/** By name. */
export type Functions = Record<string, Deployed>;

/**
 * What `functions.json` asks for. The Firebase CLI has Cloud Scheduler call an address at which it does
 * not count as internal.
 */
export function wanted(region: string, tool: "firebase" | "gcloud" = "gcloud"): Functions {
  return byName(Object.entries(settings), ([name, its]) => ({
    entryPoint: name,
    region,
    runtime: "nodejs24",
    topic: its.trigger === "topic" ? "gmail-notifications" : undefined,
    retry: "retry" in its && its.retry,
    public: its.public,
    ingress:
      its.trigger === "http" || (its.trigger === "schedule" && tool === "firebase")
        ? "all"
        : "internal-only",
    memory: `${its.memoryMiB}Mi`,
    cpu: String(its.cpu),
    concurrency: its.concurrency,
    timeoutSeconds: its.timeoutSeconds,
    minInstances: its.minInstances,
    maxInstances: its.maxInstances,
    secrets: its.secrets.toSorted(),
    schedule:
      "schedule" in its
        ? {
            schedule: its.schedule,
            timeZone: "Etc/UTC",
            attemptDeadline: `${its.timeoutSeconds}s`,
            retryCount: its.retryCount,
            minBackoff: `${its.minBackoffSeconds}s`,
          }
        : undefined,
  }));
}

/** By its name, whatever it was read from. */
export function byName<T>(items: T[], toFunction: (item: T) => Deployed): Functions {
  return Object.fromEntries(
    items.map((item) => {
      const made = toFunction(item);
      return [made.entryPoint, made];
    }),
  );
}

/** What the commands of `deploy.sh` make. */
export function printed(commands: string[]): Functions {
  const calls = commands.map((command) => {
    const words = (command.match(/(?:'[^']*'|[^\s'])+/g) ?? []).map((word) =>
      word.replaceAll("'", ""),
    );
    const flags = new Map(
      words
        .filter((word) => word.startsWith("--"))
        .map((word) => /^--([^=]+)=?(.*)$/s.exec(word) ?? [])
        .map(([, name = "", value = ""]) => [name, value]),
    );
    return { words, flags };
  });
  const deploys = calls.filter(({ words }) => words.slice(1, 3).join(" ") === "functions deploy");
  return byName(deploys, ({ words, flags }) => {
    const flag = (name: string) => flags.get(name) ?? "";
    const job = calls.find(
      (call) =>
        call.words.slice(1, 5).join(" ") === "scheduler jobs create http" &&
        call.flags.get("uri")?.startsWith(`https://${words[3]?.toLowerCase()}-`),
    );
    return {
      entryPoint: flag("entry-point"),
      region: flag("region"),
      runtime: flag("runtime"),
      topic: flags.get("trigger-topic"),
      retry: flags.has("retry"),
      public: calls.some(
        (call) =>
          call.words.slice(1, 4).join(" ") === `functions add-invoker-policy-binding ${words[3]}` &&
          call.flags.get("member") === "allUsers",
      ),
      ingress: flag("ingress-settings"),
      memory: flag("memory"),
      cpu: flag("cpu"),
      concurrency: Number(flag("concurrency")),
      timeoutSeconds: Number(flag("timeout").replace(/s$/, "")),
      minInstances: Number(flag("min-instances")),
      maxInstances: Number(flag("max-instances")),
      secrets: flag("set-secrets")
        .split(",")
        .map((pinned) => pinned.replace(/=.*/, ""))
        .toSorted(),
      schedule: job && {
        schedule: job.flags.get("schedule") ?? "",
        timeZone: job.flags.get("time-zone") ?? "",
        attemptDeadline: job.flags.get("attempt-deadline") ?? "",
        retryCount: Number(job.flags.get("max-retry-attempts")),
        minBackoff: job.flags.get("min-backoff") ?? "",
      },
    };
  });
}
