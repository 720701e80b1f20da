import { type Node, type SourceFile, SyntaxKind } from "typescript/unstable/ast";
import { createVirtualFileSystem } from "typescript/unstable/fs";
import { API } from "typescript/unstable/sync";

/** A change of one syntax node: a statement, an expression, a member, a declaration. */
export interface Edit {
  /** The function, or the constant, that holds the node. Its file does not matter. */
  within: string;
  /** The node's text; white space, line breaks, comments and trailing commas do not count. */
  node: string;
  replacement: string;
}

/** Where an edit belongs: a range of characters of one file. */
export interface Place {
  kind: "found";
  file: string;
  start: number;
  end: number;
  replacement: string;
}

export type Resolved = Place | { kind: "not_found"; why: string };

/** The text of each file, by its path below the sources. */
export type Files = Readonly<Record<string, string>>;

const CONFIG = "/sources/tsconfig.json";
/** Enough to parse; nothing is checked. */
const OPTIONS = { noLib: true, noResolve: true, types: [] };

/**
 * Finds the one node that each edit names. An edit is not found when no declaration has its name, or
 * when none, or more than one, of the nodes in the declarations of that name has its text.
 */
export function resolveEdits(files: Files, edits: readonly Edit[]): Resolved[] {
  const names = new Set(edits.map(({ within }) => within));
  const declarations = findDeclarations(files, names);
  return edits.map((edit) => resolve(edit, declarations.get(edit.within) ?? []));
}

/** The file's text with the edits of it made. Throws when two of them overlap. */
export function applyEdits(text: string, places: readonly Place[]): string {
  let edited = text;
  let from = Infinity;
  for (const { start, end, replacement } of places.toSorted((a, b) => b.start - a.start)) {
    if (end > from) throw new Error(`two edits overlap: ${replacement}`);
    edited = edited.slice(0, start) + replacement + edited.slice(end);
    from = start;
  }
  return edited;
}

interface Range {
  file: string;
  start: number;
  end: number;
}

interface Declaration {
  file: string;
  /** Every node in it, and its squeezed text. */
  nodes: readonly (Range & { text: string })[];
}

function resolve(
  { within, node, replacement }: Edit,
  declarations: readonly Declaration[],
): Resolved {
  if (declarations.length === 0) return { kind: "not_found", why: `nothing is called ${within}` };
  const wanted = squeeze(node);
  const found = new Map<string, Range>();
  for (const { nodes } of declarations) {
    for (const { text, file, start, end } of nodes) {
      if (text === wanted) found.set(`${file}:${start}-${end}`, { file, start, end });
    }
  }
  const [range, ...more] = found.values();
  if (range !== undefined && more.length === 0) return { kind: "found", ...range, replacement };
  const where = [...new Set(declarations.map(({ file }) => file))].join(", ");
  return { kind: "not_found", why: `${found.size} nodes in ${within} (${where}) read ${node}` };
}

function findDeclarations(
  files: Files,
  names: ReadonlySet<string>,
): ReadonlyMap<string, Declaration[]> {
  const found = new Map<string, Declaration[]>();
  for (const [file, source] of parse(files)) {
    const bare = withoutComments(source);
    const visit = (node: Node) => {
      const name = nameOf(node);
      if (name !== undefined && names.has(name)) {
        const nodes = nodesIn(node).map((it) => {
          const [start, end] = [it.getStart(), it.end];
          return { file, start, end, text: squeeze(bare.slice(start, end)) };
        });
        found.set(name, [...(found.get(name) ?? []), { file, nodes }]);
      }
      node.forEachChild(visit);
    };
    visit(source);
  }
  return found;
}

/** The syntax trees of the files, by path. Nothing is checked or resolved. */
export function parse(files: Files): [file: string, source: SourceFile][] {
  const texts = Object.entries(files).map(([file, text]) => [`/sources/${file}`, text]);
  const config = JSON.stringify({ compilerOptions: OPTIONS });
  const fs = createVirtualFileSystem({ ...Object.fromEntries(texts), [CONFIG]: config });
  const api = new API({ fs });
  try {
    const [project] = api.updateSnapshot({ openProjects: [CONFIG] }).getProjects();
    return Object.keys(files).flatMap((file) => {
      const source = project?.program.getSourceFile(`/sources/${file}`);
      return source === undefined ? [] : [[file, source] as const];
    });
  } finally {
    api.close();
  }
}

const DECLARATIONS: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.PropertyAssignment,
  SyntaxKind.VariableDeclaration,
]);

function nameOf(node: Node): string | undefined {
  if (!DECLARATIONS.has(node.kind)) return undefined;
  const { name } = node as Node & { name?: Node };
  return name?.kind === SyntaxKind.Identifier ? name.getText() : undefined;
}

function nodesIn(node: Node): Node[] {
  const nodes = [node];
  node.forEachChild((child) => void nodes.push(...nodesIn(child)));
  return nodes;
}

const QUOTED: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.StringLiteral,
  SyntaxKind.RegularExpressionLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateHead,
  SyntaxKind.TemplateMiddle,
  SyntaxKind.TemplateTail,
]);
const COMMENTS = /\/\*[\s\S]*?\*\/|\/\/.*/g;

/** The text with spaces in place of its comments, so that positions stay as they are. */
function withoutComments(source: SourceFile): string {
  const blank = (text: string) => text.replaceAll(COMMENTS, ({ length }) => " ".repeat(length));
  let bare = "";
  for (const node of nodesIn(source).filter(({ kind }) => QUOTED.has(kind))) {
    bare += blank(source.text.slice(bare.length, node.getStart())) + node.getText();
  }
  return bare + blank(source.text.slice(bare.length));
}

function squeeze(text: string): string {
  return text.replaceAll(/\s+/g, "").replaceAll(/,(?=[)\]}])/g, "");
}
