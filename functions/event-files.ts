import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import {
  EVENT_DEFINITIONS,
  type EventDefinition,
  schemaId,
} from "./src/domain/event-definitions.ts";
import { table } from "./table.ts";

/** A JSON Schema of `z.toJSONSchema`, as far as the definitions of events need it. */
interface Schema {
  type?: string;
  const?: unknown;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
}

const definitions: readonly EventDefinition[] = Object.values(EVENT_DEFINITIONS);

/**
 * What is made of the definitions of events, by its path in the repository: the JSON Schemas and the
 * types of the subscriber's package, and the tables in the subscriber's document.
 */
export function eventFiles(): Record<string, string> {
  const schemas = definitions.map((definition) => [
    `functions/subscriber/schemas/${definition.type}.json`,
    `${JSON.stringify(schemaOf(definition), undefined, 2)}\n`,
  ]);
  return {
    ...Object.fromEntries(schemas),
    "functions/subscriber/events.ts": types(),
    "functions/docs/events.md": withTables("functions/docs/events.md"),
  };
}

/** The JSON Schema (2020-12) of an event's data. It allows fields that it does not name. */
export function schemaOf({ type, meaning, data }: EventDefinition): Schema {
  const { $schema, ...schema } = z.toJSONSchema(data, {
    // A subscriber reads what was published: fields of a later version are no mistake.
    io: "input",
    override({ jsonSchema }) {
      if (jsonSchema.format === "date-time") delete jsonSchema.pattern;
    },
  });
  const head = { $schema, $id: schemaId(type), title: type, description: meaning };
  return { ...head, ...schema } as Schema;
}

function types(): string {
  const names = definitions.map(({ type }) => interfaceName(type));
  return `// Generated from functions/src/domain/event-definitions.ts by \`npm run generate\`. Do not edit.

/** The data of each type of event. */
export interface EventData {
${definitions.map(({ type }) => `  "${type}": ${interfaceName(type)};`).join("\n")}
}

/** The types of events that this version knows. */
export const EVENT_TYPES = [
${definitions.map(({ type }) => `  "${type}",`).join("\n")}
] as const satisfies readonly (keyof EventData)[];

${definitions.map((definition, index) => typeOf(definition, names[index] ?? "")).join("\n")}`;
}

/** `mailbox.message.added`: `MessageAdded`. */
function interfaceName(type: string): string {
  const words = type.replace(/^mailbox\./, "").split(/[._]/);
  return words.map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`).join("");
}

function typeOf(definition: EventDefinition, name: string): string {
  const { properties = {}, required = [] } = schemaOf(definition);
  const fields = Object.entries(properties).map(([field, schema]) => {
    const optional = required.includes(field) ? "" : "?";
    return `${comment(schema.description, "  ")}  ${field}${optional}: ${typeName(schema)};\n`;
  });
  return `${comment(`${definition.type}: ${definition.meaning}`, "")}export interface ${name} {\n${fields.join("")}}\n`;
}

function typeName({ type, const: only, items, properties = {}, required = [] }: Schema): string {
  if (only !== undefined) return JSON.stringify(only);
  switch (type) {
    case "integer":
      return "number";
    case "array":
      return `${typeName(items ?? {})}[]`;
    case "string":
      return "string";
    case "object": {
      const members = Object.entries(properties).map(
        ([name, schema]) =>
          `    ${name}${required.includes(name) ? "" : "?"}: ${typeName(schema)};\n`,
      );
      return `{\n${members.join("")}  }`;
    }
    default:
      throw new Error(`a type of JSON Schema that no event has had so far: ${type}`);
  }
}

const COLUMNS = 100;

/** A doc comment in lines of 100 columns. */
function comment(text = "", indent: string): string {
  const single = `${indent}/** ${text} */\n`;
  if (single.length <= COLUMNS + 1) return single;
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    const longer = `${last} ${word}`;
    if (last !== undefined && longer.length <= COLUMNS) lines[lines.length - 1] = longer;
    else lines.push(`${indent} * ${word}`);
  }
  return `${indent}/**\n${lines.join("\n")}\n${indent} */\n`;
}

/** Returns the document with its tables made again, between two comments. */
function withTables(file: string): string {
  const page = readFileSync(path.resolve(import.meta.dirname, "..", file), "utf8");
  const region = /(<!-- generated: events -->\n).*(\n<!-- end -->)/s;
  if (!region.test(page)) throw new Error(`${file} has no place for the tables`);
  return page.replace(region, (_, begin: string, end: string) => `${begin}\n${tables()}\n${end}`);
}

function tables(): string {
  const overview = table(
    ["type", "when"],
    definitions.map(({ type, meaning }) => [`[\`${type}\`](#${anchor(type)})`, meaning]),
  );
  const all = definitions.map((definition) => ({ definition, fields: fieldsOf(definition) }));
  const rows = all.flatMap(({ fields }) => fields.map(({ row }) => row.join()));
  const isShared = ({ row }: Field) => rows.indexOf(row.join()) !== rows.lastIndexOf(row.join());
  const shared = new Map(
    all.flatMap(({ fields }) => fields.filter(isShared)).map(({ row }) => [row.join(), row]),
  );
  const sections = all.map(({ definition: { type, id }, fields }) => {
    const names = fields.map(({ name, isOptional }) => `\`${name}\`${isOptional ? "?" : ""}`);
    const own = fields.filter((field) => !isShared(field)).map(({ row }) => row);
    const head = `### ${type}\n\nId: \`${id}\`\\\nFields: ${names.join(", ")}`;
    return own.length === 0 ? head : `${head}\n\n${table(COLUMN_NAMES, own)}`;
  });
  const common = `### Fields of several types\n\n${SHARED_FIELDS}\n\n${table(COLUMN_NAMES, [...shared.values()])}`;
  return [overview, common, ...sections].join("\n\n");
}

const COLUMN_NAMES = ["field", "type", "meaning"];
const SHARED_FIELDS =
  "Each type below lists its fields (`?`: not always there), and explains those that are not in this table.";

/** A field of an event's data, and its row in a table. */
interface Field {
  name: string;
  isOptional: boolean;
  row: readonly string[];
}

function fieldsOf(definition: EventDefinition): Field[] {
  const { properties = {}, required = [] } = schemaOf(definition);
  return Object.entries(properties).map(([name, schema]) => {
    const named = typeName(schema).replaceAll(/\s+/g, " ").replace("; }", " }");
    const isPlain = schema.const === undefined && schema.type !== "object";
    const type = isPlain ? named : `\`${named}\``;
    const row = [`\`${name}\``, type, schema.description ?? ""];
    return { name, isOptional: !required.includes(name), row };
  });
}

/** The anchor of a heading, as GitHub makes it. */
function anchor(heading: string): string {
  return heading.replaceAll(".", "");
}
