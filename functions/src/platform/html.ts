/** Markup that is safe to send: every value in it has been escaped. */
export interface Html {
  readonly markup: string;
}

type Value = Html | string | number | undefined | readonly Html[];

/** Builds markup from a template. Escapes every value that is not markup; drops `undefined`. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  const markup = parts.reduce((built, part, index) => built + render(values[index - 1]) + part);
  return { markup };
}

function render(value: Value): string {
  if (value === undefined) return "";
  if (typeof value === "string") return escape(value);
  if (typeof value === "number") return String(value);
  return "markup" in value ? value.markup : value.map(({ markup }) => markup).join("");
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
