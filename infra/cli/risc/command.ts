import type { Command } from "commander";
import { usageError } from "../errors.ts";
import { type Session, printResult, readLoopbackHost } from "../session.ts";
import { EVENTS, type RiscStream, riscCredentials, riscStream } from "./stream.ts";

/**
 * Defines `gmail-push risc`, which registers `securityEvent` for Cross-Account Protection, and
 * tests it.
 */
export function defineRisc(risc: Command, session: Session): void {
  const { env } = session;
  risc.option(
    "--key-file <file>",
    "key of a service account with roles/riscconfigs.admin; " +
      "the application default credentials unless given",
  );

  risc
    .command("register")
    .description("have every event posted to this address from now on")
    .requiredOption("--url <url>", "where securityEvent is reached, on an authorized domain")
    .action(async ({ url }: { url: string }) => {
      if (!URL.canParse(url)) throw usageError("--url is not a URL");
      await open().register(url, EVENTS);
      await printResult(session, { url }, [`registered: ${url}`, "try it: npm run risc -- verify"]);
    });

  risc
    .command("status")
    .description("show where events go, which, and whether the stream is enabled")
    .action(async () => {
      const { status, url, events } = await open().read();
      const missing = EVENTS.filter((event) => !events.includes(event));
      await printResult(session, { status, url, events, missing }, [
        `status  ${status}`,
        `url     ${url}`,
        ...events.map((event) => `event   ${event}`),
        ...missing.map((event) => `missing ${event}`),
      ]);
    });

  risc
    .command("verify")
    .description("ask Google for a test event; securityEvent logs its state")
    .option(
      "--state <text>",
      "what to look for in the log",
      `risc verify ${new Date().toISOString()}`,
    )
    .action(async ({ state }: { state: string }) => {
      await open().verify(state);
      await printResult(session, { state }, [
        "asked for. Within a minute the log of securityEvent has this record:",
        `event="security_event_received" state=${JSON.stringify(state)}`,
      ]);
    });

  for (const [name, status, description] of [
    ["enable", "enabled", "send events again"],
    ["disable", "disabled", "send no events; what happens in the meantime is never sent"],
  ] as const) {
    risc
      .command(name)
      .description(description)
      .action(async () => {
        await open().setStatus(status);
        await printResult(session, { status }, [`the stream is ${status}`]);
      });
  }

  function open(): RiscStream {
    const host = readLoopbackHost(env, "GMAIL_EMULATOR_HOST");
    const origin = host === undefined ? "https://risc.googleapis.com" : `http://${host}`;
    return riscStream(origin, riscCredentials(risc.opts<{ keyFile?: string }>().keyFile));
  }
}
