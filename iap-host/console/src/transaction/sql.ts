/** Line breaks for SQL: one clause a line, sub-queries indented. The words stay as they were. */

const CLAUSE =
  /^(?:with|select|from|where|group\s+by|having|order\s+by|limit|offset|union(?:\s+all)?|intersect|except|(?:(?:left|right|full)(?:\s+outer)?|inner|cross)\s+join|join|values|set|insert\s+into|update|delete\s+from|returning|on\s+conflict)\b/i;
const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|\/\*[\s\S]*?\*\/|[()]|[A-Za-z_][\w$]*|\s+|./gy;

export function formatSql(sql: string): string {
  let out = "";
  let rest = 0;
  // For each open parenthesis: whether a query is inside.
  const open: boolean[] = [];
  const indent = () => "  ".repeat(open.filter(Boolean).length);
  const fresh = () => {
    out = out.trimEnd();
    if (out) out += `\n${indent()}`;
  };
  while (rest < sql.length) {
    const text = sql.slice(rest);
    const clause = /^\w/.test(text) && !/\w$/.test(sql.slice(0, rest)) ? CLAUSE.exec(text) : null;
    const nested = open.length > 0 && !open.at(-1);
    if (clause && !nested) {
      if (!out.endsWith("(")) fresh();
      out += clause[0].replace(/\s+/g, " ");
      rest += clause[0].length;
      continue;
    }
    TOKEN.lastIndex = rest;
    const token = TOKEN.exec(sql)?.[0] ?? sql[rest]!;
    rest += token.length;
    if (token === "(") {
      const query = /^\s*(?:select|with)\b/i.test(sql.slice(rest));
      out += "(";
      open.push(query);
      if (query) out += `\n${indent()}`;
      if (query) rest += /^\s*/.exec(sql.slice(rest))![0].length;
      const first = query ? /^\w+/.exec(sql.slice(rest))![0] : "";
      out += first;
      rest += first.length;
    } else if (token === ")") {
      if (open.pop()) fresh();
      out += ")";
    } else if (token.startsWith("--")) {
      out += `${token}\n${indent()}`;
    } else {
      out += /^\s+$/.test(token) ? " " : token;
    }
  }
  return out.replace(/[ \t]+$/gm, "").trim();
}
