import { Command, CommanderError } from "commander";
import { isLoopbackHostAndPort } from "../../../functions/src/config.ts";
import { type RiscStream, RiscFailure, riscStream, serviceAccountAuthorization } from "./stream.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

const SCHEMA = "https://schemas.openid.net/secevent/";
/** Everything that Google offers; the receiver logs what it has no answer to. */
export const EVENTS = [
  "oauth/event-type/tokens-revoked",
  "oauth/event-type/token-revoked",
  "risc/event-type/sessions-revoked",
  "risc/event-type/account-disabled",
  "risc/event-type/account-enabled",
  "risc/event-type/account-credential-change-required",
  "risc/event-type/verification",
].map((type) => `${SCHEMA}${type}`);

/** What to do about Google's refusals, by its own words (the guide's error code reference). */
const ADVICE: readonly [message: RegExp, advice: string][] = [
  [
    /does not belong to any of your project's domains/,
    "The host of --url has to be on one of the project's authorized domains: in the Cloud console, " +
      "Google Auth Platform, Branding, Authorized domains. run.app and cloudfunctions.net cannot " +
      "be added there: map a domain of your own to securityEvent.",
  ],
  [
    /does not have spec-compliant delivery method/,
    "Firebase Authentication with Google sign-in owns this project's stream. Disable that provider " +
      "(Firebase console, Authentication, Sign-in method) and try again after an hour, or keep the " +
      "OAuth client in a project without it.",
  ],
  [
    /permission to access your RISC configuration/,
    "Grant it: gcloud projects add-iam-policy-binding PROJECT " +
      "--member serviceAccount:EMAIL --role roles/riscconfigs.admin",
  ],
  [
    /only be called by a service account/,
    "Use one: gcloud auth application-default login --impersonate-service-account EMAIL, " +
      "or --key-file.",
  ],
  [
    /has not been used in project|is disabled/,
    "Enable it, after its terms: https://console.cloud.google.com/apis/library/risc.googleapis.com",
  ],
  [/has no (existing )?RISC configuration/, "Register first: npm run risc -- register --url URL"],
];

/** Where the command is at work. */
export interface RiscSurroundings {
  env: Readonly<Record<string, string | undefined>>;
  /** One line for the operator, or one about what went wrong. */
  say(line: string): void;
  complain(line: string): void;
}

/**
 * `npm run risc`: registers `securityEvent` for Cross-Account Protection, and tries it. Resolves to
 * the exit code.
 */
export async function riscCommand(
  args: readonly string[],
  { env, say, complain }: RiscSurroundings,
): Promise<number> {
  const program = new Command("risc")
    .description("Registers securityEvent for Google's security events (Cross-Account Protection).")
    .option(
      "--key-file <file>",
      "key of a service account with roles/riscconfigs.admin; " +
        "the application default credentials unless given",
    )
    .addHelpText("after", "\nExit codes: 0 done, 1 refused or not answered, 2 used wrongly.")
    .showHelpAfterError("(see --help)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => say(text.trimEnd()),
      writeErr: (text) => complain(text.trimEnd()),
    });

  program
    .command("register")
    .description("have every event posted to this address from now on")
    .requiredOption("--url <url>", "where securityEvent is reached, on an authorized domain")
    .action(async ({ url }: { url: string }) => {
      if (!URL.canParse(url)) program.error("error: --url is not a URL", { exitCode: EXIT_USAGE });
      await (await open()).register(url, EVENTS);
      say(`registered: ${url}`);
      say("try it: npm run risc -- verify");
    });

  program
    .command("status")
    .description("show where events go, which, and whether the stream is enabled")
    .action(async () => {
      const { status, url, events } = await (await open()).read();
      say(`status  ${status}`);
      say(`url     ${url}`);
      for (const event of events) say(`event   ${event}`);
      for (const event of EVENTS) if (!events.includes(event)) say(`missing ${event}`);
    });

  program
    .command("verify")
    .description("ask Google for a test event; securityEvent logs its state")
    .option(
      "--state <text>",
      "what to look for in the log",
      `risc verify ${new Date().toISOString()}`,
    )
    .action(async ({ state }: { state: string }) => {
      await (await open()).verify(state);
      say("asked for. Within a minute the log of securityEvent has this record:");
      say(`event="security_event_received" state=${JSON.stringify(state)}`);
    });

  for (const [name, status, description] of [
    ["enable", "enabled", "send events again"],
    ["disable", "disabled", "send no events; what happens meanwhile is never sent"],
  ] as const) {
    program
      .command(name)
      .description(description)
      .action(async () => {
        await (await open()).setStatus(status);
        say(`the stream is ${status}`);
      });
  }

  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error, complain);
  }

  async function open(): Promise<RiscStream> {
    const host = env["GMAIL_EMULATOR_HOST"] || undefined;
    if (host !== undefined && !isLoopbackHostAndPort(host)) {
      program.error("error: GMAIL_EMULATOR_HOST is not host:port on loopback", {
        exitCode: EXIT_USAGE,
      });
    }
    const origin = host === undefined ? "https://risc.googleapis.com" : `http://${host}`;
    const { keyFile } = program.opts<{ keyFile?: string }>();
    try {
      return riscStream(origin, await serviceAccountAuthorization(keyFile));
    } catch {
      // The library's own message may quote the file.
      throw new RiscFailure(
        0,
        keyFile === undefined
          ? "there are no application default credentials; give --key-file"
          : `${keyFile} is not the key of a service account`,
      );
    }
  }
}

function report(error: unknown, complain: RiscSurroundings["complain"]): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (!(error instanceof RiscFailure)) throw error;
  const { status, message } = error;
  complain(`error: ${message}${status === 0 ? "" : ` (${status})`}`);
  const advice = ADVICE.find(([pattern]) => pattern.test(message))?.[1];
  if (advice !== undefined) complain(advice);
  return EXIT_FAILED;
}
