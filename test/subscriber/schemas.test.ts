import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { Ajv2020, type AnySchemaObject, type ValidateFunction } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { type CloudEvent, HTTP } from "cloudevents";
import { beforeAll, describe, expect, it } from "vitest";
import {
  EVENT_DEFINITIONS,
  type EventDefinition,
} from "../../functions/src/domain/event-definitions.ts";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { simulate } from "../simulation/simulate.ts";

/**
 * Goal: the JSON Schemas describe what is published, all of it and nothing else. Method: read what
 * the simulated receiver publishes with tools that are not ours.
 */

const SCHEMAS = path.resolve(import.meta.dirname, "../../functions/subscriber/schemas");
const SEEDS_MAX = 120;
const TIMEOUT_MS = 120_000;

const definitions: readonly EventDefinition[] = Object.values(EVENT_DEFINITIONS);
const schemas = readdirSync(SCHEMAS).map(
  (file) => JSON.parse(readFileSync(path.join(SCHEMAS, file), "utf8")) as AnySchemaObject,
);

/** With formats checked, and with fields refused that a schema does not name. */
function validators(): Map<string, ValidateFunction> {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  ajvFormats.default(ajv);
  return new Map(
    schemas.map((schema) => [
      String(schema["$id"]),
      ajv.compile({ ...schema, additionalProperties: false }),
    ]),
  );
}

describe("the JSON Schemas", { timeout: TIMEOUT_MS }, () => {
  let published: PubsubCloudEvent[];

  beforeAll(async () => {
    published = [];
    const types = new Set<string | undefined>();
    for (let seed = 0; seed < SEEDS_MAX && types.size < definitions.length; seed += 1) {
      const result = await simulate(seed);
      published.push(...result.published);
      for (const { attributes } of result.published) types.add(attributes["ce-type"]);
    }
  }, TIMEOUT_MS);

  it("exist for every type of event, and the simulation publishes every type", () => {
    const types = definitions.map(({ type }) => type).toSorted();
    expect(schemas.map(({ title }) => String(title)).toSorted()).toEqual(types);
    const seen = new Set(published.map(({ attributes }) => attributes["ce-type"]));
    expect([...seen].toSorted()).toEqual(types);
  });

  it("describe everything that the simulation publishes", () => {
    const validate = validators();
    const problems = published.flatMap(({ attributes, json }) => {
      const valid = validate.get(attributes["ce-dataschema"] ?? "");
      if (valid === undefined) return [`no schema ${attributes["ce-dataschema"]}`];
      return valid(json) ? [] : [`${attributes["ce-id"]}: ${JSON.stringify(valid.errors)}`];
    });
    expect([...new Set(problems)]).toEqual([]);
  });

  it("are named in events that the CloudEvents SDK reads in its strict mode", () => {
    for (const { attributes, json } of published) {
      // A push subscription without a wrapper delivers an event like this.
      const request = { headers: attributes, body: JSON.stringify(json) };
      const event = HTTP.toEvent(request) as CloudEvent<unknown>;
      expect(event.validate()).toBe(true);
      expect(event.cloneWith({}, true)).toMatchObject({
        specversion: "1.0",
        id: attributes["ce-id"],
        type: attributes["ce-type"],
        source: attributes["ce-source"],
        subject: attributes["ce-subject"],
        time: attributes["ce-time"],
        dataschema: attributes["ce-dataschema"],
        datacontenttype: "application/json",
        data: json,
      });
    }
  });

  it("list only documented reasons of a gap", () => {
    const reasons = published
      .filter(({ attributes }) => attributes["ce-type"] === EVENT_DEFINITIONS.gap.type)
      .map(({ json }) => `\`${String(json["reason"])}\``);
    const { description = "" } = EVENT_DEFINITIONS.gap.data.shape.reason;
    expect(reasons.length).toBeGreaterThan(0);
    expect(reasons.filter((reason) => !description.includes(reason))).toEqual([]);
  });
});
