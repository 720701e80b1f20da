import { type Finding, allChecks, runChecks } from "../../infra/cli/doctor/checks.ts";
import { googleCloud } from "../../infra/cli/doctor/cloud.ts";
import { type Deployment, cloudDeployment } from "../../infra/cli/doctor/deployment.ts";
import { endpointsOf } from "../../infra/cli/doctor/endpoints.ts";
import { type CloudEmulator, startCloudEmulator } from "../cloud-emulator/emulator.ts";
import {
  type MadeBy,
  PROJECT,
  PROJECT_NUMBER,
  REGION,
  healthyProject,
} from "../cloud-emulator/project.ts";
import { UNLIMITED } from "../local/environment.ts";
import { type LocalStack, startLocalStack } from "../local/stack.ts";
import { type MailSink, startMailSink } from "../support/mail-sink.ts";
import { memoryUsers } from "../support/memory-users.ts";
import { tokenKeys } from "../support/test-keys.ts";

export const CLIENT_ID = `${PROJECT_NUMBER}-doctor.apps.googleusercontent.com`;

/** What a doctor holds in its hands and must not show. */
export const SECRETS = {
  clientSecret: "GOCSPX-canary-of-the-client-secret",
  password: "canary-of-the-mail-password",
  returnTo: "canary-of-the-secret-that-signs-what-is-returned",
  tokenKeys: tokenKeys("2026-11", "2026-05"),
};

/** What is around a deployment: its pages, Google, and a mail server that wants a login. */
export interface Surroundings {
  stack: LocalStack;
  sink: MailSink;
  close(): Promise<void>;
}

const LOGIN = { user: "mailer", pass: SECRETS.password };

export async function startSurroundings(): Promise<Surroundings> {
  const sink = await startMailSink({ login: LOGIN });
  const client = { clientId: CLIENT_ID, clientSecret: SECRETS.clientSecret, redirectUris: [] };
  const stack = await startLocalStack({
    users: memoryUsers(),
    publish: () => Promise.resolve(),
    clock: { now: () => new Date(), sleep: () => Promise.resolve() },
    // All runs of the doctor come from one address.
    env: { ...UNLIMITED, OAUTH_CLIENT_ID: CLIENT_ID, OAUTH_CLIENT_SECRET: SECRETS.clientSecret },
    emulator: { clients: [client] },
  });
  return {
    stack,
    sink,
    async close() {
      await stack.close();
      await sink.close();
    },
  };
}

/** A project, and what leads the doctor there. */
export interface Patient {
  cloud: CloudEmulator;
  env: Record<string, string>;
  /** As the doctor's checks see it. */
  deployment(): Deployment;
  /** Every check, in this process. */
  examine(): Promise<Finding[]>;
  close(): Promise<void>;
}

/** A healthy one; what was changed around it before is as it was. */
export async function startPatient(
  madeBy: MadeBy,
  { stack, sink }: Surroundings,
): Promise<Patient> {
  const { emulator } = stack;
  emulator.setClientState(CLIENT_ID, "enabled");
  emulator.setClientSecret(CLIENT_ID, SECRETS.clientSecret);
  emulator.setRedirectUris(CLIENT_ID, [`${stack.publicUrl}/callback`]);
  emulator.resetCalls();
  const { host } = new URL(sink.url);
  const cloud = await startCloudEmulator(
    healthyProject({
      madeBy,
      securityEventUrl: `${stack.urls.securityEvent}/`,
      env: {
        GMAIL_TOPIC: `projects/${PROJECT}/topics/gmail-notifications`,
        CHANGES_TOPIC: "mailbox-changes",
        PUBLIC_URL: stack.publicUrl,
        OAUTH_CLIENT_ID: CLIENT_ID,
        OAUTH_CLIENT_SECRET: SECRETS.clientSecret,
        TOKEN_KEYS: SECRETS.tokenKeys,
        RETURN_TO_SECRET: SECRETS.returnTo,
        NOTICE_SMTP_URL: `smtp://${LOGIN.user}:${LOGIN.pass}@${host}`,
        NOTICE_FROM: "sync@app.example",
      },
    }),
  );
  const env = {
    GOOGLE_CLOUD_EMULATOR_HOST: cloud.host,
    GMAIL_EMULATOR_HOST: emulator.host,
  };
  const endpoints = endpointsOf(env);
  const deployment = () => cloudDeployment(PROJECT, REGION, googleCloud(endpoints, PROJECT));
  return {
    cloud,
    env,
    deployment,
    examine: () => runChecks(allChecks(endpoints, undefined), deployment()),
    close: () => cloud.close(),
  };
}
