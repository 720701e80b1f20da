import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { requiredEnv } from "../local/environment.ts";
import { isHad } from "../support/emulator-source.ts";
import { type ServedFunction, findNode, serveFunction } from "./framework-cli.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../operator/otlp-receiver.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const DIST = path.join(ROOT, "functions/dist/gcloud");
/** Below the packages that the bundle imports. */
const CACHE = path.join(ROOT, "node_modules/.cache");

/**
 * Goal: whoever has no collector pays nothing. All of the OpenTelemetry SDK is in one file of the
 * built folder, so what works without that file does not load it.
 */
describe.each([20, 24])("telemetry in the built folder, on Node %i", (major) => {
  const node = findNode(major);

  describe.skipIf(!isHad(node))("of gcloud", () => {
    let without: string;
    let collector: OtlpReceiver;
    let served: ServedFunction | undefined;

    beforeAll(async () => {
      await mkdir(CACHE, { recursive: true });
      without = await mkdtemp(path.join(CACHE, "without-telemetry-"));
      await cp(DIST, without, { recursive: true });
      await rm(path.join(without, "telemetry.js"));
    });
    afterAll(() => rm(without, { recursive: true }));
    beforeEach(async () => {
      collector = await startOtlpReceiver();
    });
    afterEach(async () => {
      await served?.stop();
      await collector.close();
    });

    /** The status of the first page of a new instance. */
    async function firstPage(source: string, own: Record<string, string>): Promise<number> {
      if (node.kind === "missing") throw new Error(node.why);
      served = await serveFunction({
        node: node.path,
        source,
        target: "connect",
        env: {
          ...requiredEnv("demo-telemetry"),
          K_SERVICE: "connect",
          ...own,
        },
      });
      return (await fetch(served.url)).status;
    }

    it("is not loaded without a collector", async () => {
      expect(await firstPage(without, {})).toBe(200);
      expect(collector.requests).toEqual([]);
    });

    it("is loaded from its own file for a collector", async () => {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint };
      expect(await firstPage(without, env)).toBe(500);
    });

    it("exports before the caller gets the response", async () => {
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
        // As the secret says when the collector wants nothing.
        OTEL_EXPORTER_OTLP_HEADERS: "none",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=staging",
      };
      expect(await firstPage(DIST, env)).toBe(200);
      expect(collector.spans.map(({ name }) => name)).toEqual(["connect"]);
      expect(collector.resource()).toEqual({
        "service.name": "gmail-push-receiver",
        "service.instance.id": expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        "cloud.provider": "gcp",
        "cloud.account.id": "demo-telemetry",
        "deployment.environment.name": "staging",
        "faas.name": "connect",
      });
    });

    it("samples as OTEL_TRACES_SAMPLER says", async () => {
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
        OTEL_TRACES_SAMPLER: "always_off",
      };
      expect(await firstPage(DIST, env)).toBe(200);
      expect(collector.spans).toEqual([]);
    });
  });
});
