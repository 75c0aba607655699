/** A part of a JSON schema, as far as it is read here. */
export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  description?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
}

/** What is known of a setting. */
export interface Help {
  description: string;
  values: string[];
}

/** The setting that a line of YAML in block style belongs to: names from the outside in, `*` for one of a list. */
export function pathAt(text: string, offset: number): string[] {
  const lines = text.slice(0, offset).split("\n");
  const rest = text.slice(offset).split("\n", 1)[0] ?? "";
  lines[lines.length - 1] += rest;
  const path: string[] = [];
  let below = Infinity;
  for (const line of lines.reverse()) {
    const parts = /^(\s*)((?:- )*)(["']?[\w.-]+["']?)\s*:/.exec(line);
    if (!parts) {
      if (below === Infinity && line.trim() !== "") below = line.search(/\S/) + (line.trim().startsWith("- ") ? 2 : 0);
      continue;
    }
    const [, indent = "", dashes = "", name = ""] = parts;
    const column = indent.length + dashes.length;
    const isOutside = column < below || (path.length > 0 && column === below && path[0] === "*");
    if (!isOutside) {
      // A name beside this one may still begin the item of a list that both are in.
      if (dashes && column === below && path[0] !== "*") path.unshift("*");
      if (dashes && column === below) below = indent.length + 1;
      continue;
    }
    path.unshift(name.replace(/["']/g, ""));
    if (dashes) path.unshift("*");
    below = dashes ? indent.length + 1 : column;
    if (column === 0 && !dashes) break;
  }
  return path;
}

/** The names of a path as the API writes them. */
export function names(path: string): string[] {
  return path.split(/\.(?![^[]*\])|(?=\[)/).map((part) => (part.startsWith("[") ? "*" : part));
}

/** What a schema says of a setting; `*` and names of a map stand for any. */
export function helpOf(root: Schema, path: string[]): Help | null {
  let node: Schema | null = root;
  let description = "";
  for (const name of path) {
    node = step(root, node, name);
    if (!node) return null;
    description = node.description ?? resolve(root, node).find((one) => one.description)?.description ?? "";
  }
  const ends = resolve(root, node);
  const values = ends.flatMap((one) => one.enum ?? (one.const === undefined ? [] : [one.const]));
  return path.length === 0 ? null : { description, values: values.map(String) };
}

function step(root: Schema, node: Schema, name: string): Schema | null {
  for (const one of resolve(root, node)) {
    if (one.properties?.[name]) return one.properties[name];
    if (name === "*" && one.items) return one.items;
    if (typeof one.additionalProperties === "object") return one.additionalProperties;
  }
  return null;
}

/** All that a part may be. */
function resolve(root: Schema, node: Schema, depth = 0): Schema[] {
  if (depth > 8) return [];
  const named = node.$ref ? root.$defs?.[node.$ref.split("/").pop() ?? ""] : undefined;
  const more = [...(named ? [named] : []), ...(node.anyOf ?? []), ...(node.oneOf ?? [])];
  return [node, ...more.flatMap((one) => resolve(root, one, depth + 1))];
}
