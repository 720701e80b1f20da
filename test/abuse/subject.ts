import { findSecret, CANARY_ENV } from "./canaries.ts";
import { DEFAULT_CLIENT, type EmulatorOptions } from "../gmail-emulator/emulator.ts";
import { UNLIMITED } from "../local/environment.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

/** What an input can have caused, counted. */
export interface Effects {
  /** Documents written. */
  writes: number;
  published: number;
  /** Calls that reached Google, by method. */
  calls: readonly string[];
}

/** The receiver with marked secrets, and what it does. */
export interface Subject extends Scenario {
  /** What happens until the returned function is called. */
  watch(): () => Effects;
  /** The log lines since the last time, each one checked to hold no secret. */
  takeLogs(): Record<string, unknown>[];
}

/** Nothing is pushed: every notification in these tests is one that the test itself sends. */
export async function startSubject(
  env: Record<string, string> = {},
  emulator: EmulatorOptions = {},
): Promise<Subject> {
  const { clientSecret: _, ...client } = DEFAULT_CLIENT;
  const clients = [{ ...client, clientSecret: CANARY_ENV.OAUTH_CLIENT_SECRET }];
  const scenario = await startScenario({
    env: { ...CANARY_ENV, ...UNLIMITED, ...env },
    emulator: { clients, push: { kind: "none" }, ...emulator },
  });
  const { users, topic, emulator: google, logs, config } = scenario;
  google.setRedirectUris(client.clientId, [`${config.publicUrl}/callback`]);

  return {
    ...scenario,
    watch() {
      const { writes } = users.operations;
      const published = topic.published.length;
      const calls = google.calls.length;
      return () => ({
        writes: users.operations.writes - writes,
        published: topic.published.length - published,
        calls: google.calls.slice(calls).map(({ method }) => method),
      });
    },
    takeLogs: () =>
      logs.splice(0).map((line) => {
        const secret = findSecret(line);
        if (secret !== undefined) throw new Error(`a secret is logged: ${line}`);
        return JSON.parse(line) as Record<string, unknown>;
      }),
  };
}
