import { Agent, request } from "node:http";
import { localIdToken } from "../local/id-token.ts";
import { startFunction } from "./function-process.ts";
import { type BenchOptions, type Row, inTurns, quantile, toRow } from "./rows.ts";
import { OURS, setStage, userId } from "./stage.ts";
import { ATTACHMENT_BYTES } from "./stub-google.ts";

const NAMES = ["ours", "direct"] as const;
/** Within Gmail's quota for one user, so that no call waits. */
const CALLS = 150;
const WARM_UP = 100;
const ATTACHMENTS = 6;
const AT_ONCE = 3;
const MB = 1_000_000;
const MAILBOXES = 20;

/** A call through `gmailApi`, compared with the same call made directly with the access token. */
export async function gmailApi({ runs, note }: BenchOptions): Promise<Row[]> {
  const stage = await setStage();
  const agent = new Agent({ keepAlive: true });
  try {
    await stage.store(MAILBOXES, { scope: "gmail.readonly" });
    const source = { ...OURS, target: "gmailApi", signatureType: "http" } as const;
    const started = await startFunction(source, stage.env);
    const idToken = localIdToken("bench@demo-bench.iam.gserviceaccount.com");
    const through = (mailbox: number, path: string) =>
      read(
        agent,
        `http://127.0.0.1:${started.port}/gmail/v1/users/${userId(mailbox)}/${path}`,
        idToken,
      );
    const direct = (mailbox: number, path: string) =>
      read(agent, `http://${stage.google.host}/gmail/v1/users/me/${path}`, `access-${mailbox}`);
    try {
      for (let call = 0; call < WARM_UP; call++) {
        await through(call % MAILBOXES, "profile");
        await direct(call % MAILBOXES, "profile");
      }
      const medians = await inTurns(NAMES, runs, async (name, run) => {
        note(`calls of Gmail, ${name}, ${run + 1} of ${runs}`);
        const call = name === "ours" ? through : direct;
        const cpuMs = async () => (name === "ours" ? (await started.usage()).cpuMs : ownCpuMs());
        const before = await cpuMs();
        const times: number[] = [];
        for (let number = 0; number < CALLS; number++) {
          const startedAt = performance.now();
          await call(number % MAILBOXES, "profile");
          times.push(performance.now() - startedAt);
        }
        return { cpu: ((await cpuMs()) - before) / CALLS, latency: quantile(times, 0.5) };
      });
      const { ours, direct: reference } = medians;
      const peak = async () => (await started.usage()).peakBytes / MB;
      const before = await peak();
      for (let done = 0; done < ATTACHMENTS; done += AT_ONCE) {
        const several = Array.from({ length: AT_ONCE }, (_, index) =>
          through(index, "messages/18f0a1/attachments/a"),
        );
        await Promise.all(several);
      }
      const grown = (await peak()) - before;
      return [
        toRow(
          "gmail-api.cpu",
          "ms",
          { ours: ours.cpu, reference: reference.cpu },
          "the same call made directly, in its client",
        ),
        toRow(
          "gmail-api.latency",
          "ms",
          { ours: ours.latency, reference: reference.latency },
          "the same call made directly",
        ),
        toRow(
          "gmail-api.memory",
          "MB",
          { ours: grown, reference: (AT_ONCE * ATTACHMENT_BYTES) / MB },
          "3 attachments of 25 MB at a time, as they are sent; what the peak of memory grew",
        ),
      ];
    } finally {
      await started.stop();
    }
  } finally {
    agent.destroy();
    stage.close();
  }
}

/** Of this process, which makes the call. */
function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function read(agent: Agent, url: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, headers: { authorization: `Bearer ${token}` } });
    sent.once("error", reject);
    sent.once("response", (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => (bytes += chunk.length));
      response.once("error", reject);
      response.once("end", () => {
        if (response.statusCode === 200) resolve(bytes);
        else reject(new Error(`${url}: ${response.statusCode}`));
      });
    });
    sent.end();
  });
}
