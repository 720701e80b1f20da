type Attributes = Readonly<Record<string, string>>;
type Filter = (attributes: Attributes) => boolean;

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|([a-zA-Z_][a-zA-Z0-9_-]*)|(!=|[().,:=-]))/y;

/**
 * The filter of a Pub/Sub subscription ("Filter messages from a subscription"): whether it lets
 * through a message with these attributes. AND and OR need brackets between them, as in Pub/Sub.
 */
export function parseFilter(text: string): Filter {
  const tokens = tokenize(text);
  let at = 0;

  const peek = () => tokens[at];
  function take(expected?: string): string {
    const token = tokens[at];
    if (token === undefined || (expected !== undefined && token !== expected)) {
      throw new SyntaxError(`expected ${expected ?? "more"}, found ${token ?? "the end"}: ${text}`);
    }
    at += 1;
    return token;
  }

  function name(): string {
    const token = take();
    return token.startsWith('"') ? (JSON.parse(token) as string) : token;
  }

  function string(): string {
    const token = take();
    if (!token.startsWith('"')) throw new SyntaxError(`${token} is no string: ${text}`);
    return JSON.parse(token) as string;
  }

  function expression(): Filter {
    let filter = term();
    const operator = peek();
    while (peek() === "AND" || peek() === "OR") {
      if (take() !== operator) throw new SyntaxError(`AND and OR need brackets: ${text}`);
      const [left, right] = [filter, term()];
      filter = operator === "AND" ? (it) => left(it) && right(it) : (it) => left(it) || right(it);
    }
    return filter;
  }

  function term(): Filter {
    if (peek() === "NOT" || peek() === "-") {
      take();
      const negated = term();
      return (it) => !negated(it);
    }
    if (peek() === "(") {
      take();
      const inner = expression();
      take(")");
      return inner;
    }
    if (peek() === "hasPrefix") return prefix();
    return comparison();
  }

  function prefix(): Filter {
    take("hasPrefix");
    take("(");
    take("attributes");
    take(".");
    const key = name();
    take(",");
    const start = string();
    take(")");
    return (it) => it[key]?.startsWith(start) === true;
  }

  function comparison(): Filter {
    take("attributes");
    if (take() === ":") {
      const key = name();
      return (it) => Object.hasOwn(it, key);
    }
    const key = name();
    const operator = take();
    const value = string();
    if (operator === "=") return (it) => it[key] === value;
    if (operator === "!=") return (it) => it[key] !== value;
    throw new SyntaxError(`${operator} is no comparison: ${text}`);
  }

  const filter = expression();
  if (peek() !== undefined) throw new SyntaxError(`${peek()} is one too many: ${text}`);
  return filter;
}

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let start = 0; text.slice(start).trim() !== ""; start = TOKEN.lastIndex) {
    TOKEN.lastIndex = start;
    const [, ...groups] = TOKEN.exec(text) ?? [];
    const token = groups.find((group) => group !== undefined);
    if (token === undefined) throw new SyntaxError(`cannot read ${text.slice(start)}`);
    tokens.push(token);
  }
  return tokens;
}
