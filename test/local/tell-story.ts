import { AssertionError } from "node:assert";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import type { Scenario } from "../support/scenario.ts";
import type { Step } from "./demo-story.ts";

/** A step takes well under a second; one that waits for what never comes is broken, too. */
const STEP_MS_MAX = 20_000;

/**
 * Runs the steps one after the other and tells of each. Answers with the process's exit code: 0
 * when every step held, 1 at the first one that did not, which is named.
 */
export async function tellStory(
  steps: readonly Step[],
  scenario: Scenario,
  say: (line: string) => void,
): Promise<0 | 1> {
  for (const [index, step] of steps.entries()) {
    say(`\n${index + 1}. ${step.does}`);
    try {
      const seen = await inTime(step.run(scenario));
      for (const line of seen) say(`   ${line}`);
    } catch (error) {
      say(`\nStep ${index + 1} did not hold: ${step.does}`);
      for (const line of describe(error)) say(`   ${line}`);
      return 1;
    }
  }
  say(`\nAll ${steps.length} steps held.`);
  return 0;
}

async function inTime<T>(running: Promise<T>): Promise<T> {
  const ended = new AbortController();
  const tooLong = sleep(STEP_MS_MAX, undefined, { signal: ended.signal }).then(() => {
    throw new Error(`it took longer than ${STEP_MS_MAX / 1_000} seconds`);
  });
  try {
    return await Promise.race([running, tooLong]);
  } finally {
    tooLong.catch(() => {});
    ended.abort();
  }
}

function describe(error: unknown): string[] {
  if (!(error instanceof AssertionError)) return [inspect(error)];
  // Node appends a comparison of its own to some messages.
  const [claim = ""] = error.message.split("\n");
  const isPlain = error.operator === "==";
  const compared = [`Expected ${inspect(error.expected)}`, `but it is ${inspect(error.actual)}`];
  return [`This should be true: ${claim}.`, ...(isPlain ? [] : compared)];
}
