// Colours for a rule document: YAML outside, SQL inside the values that hold it. Text in, pieces of text out: never markup.

/** Keys whose value is SQL. */
const SQL_KEYS = new Set(["rows", "condition", "expression"]);
const WORDS = new Set("and or not in is null like between case when then else end true false cast as".split(" "));
const SQL = /'(?:[^']|'')*'?|\b\d+(?:\.\d+)?\b|[A-Za-z_][A-Za-z0-9_]*|<>|<=|>=|[-+*/=<>(),]|\s+|./g;
const NUMBER = /^[-+]?\d+(?:\.\d+)?$/;
const DATE = /^\d{4}-\d\d-\d\d$/;
const CONSTANT = /^(?:true|false|null|yes|no|~)$/i;
const FLOW = /[{}[\],]/;
const KEY = /^("[^"]*"|'[^']*'|[A-Za-z_][\w.-]*)(\s*:)(?=\s|$)/;

/**
 * Lines of text -> per line a list of [kind, text]; the texts of a line joined are the line.
 * Kinds: "", key, mark, comment, text, number, date, constant, word, function, name.
 */
export function highlight(text) {
  const state = { block: null, depth: 0 };
  return text.split("\n").map((line) => paintLine(line, state));
}

function paintLine(line, state) {
  const indent = line.length - line.trimStart().length;
  if (state.block) {
    if (line.trim() === "" || indent > state.block.indent) return state.block.sql ? sql(line) : [["text", line]];
    state.block = null;
  }
  return yaml(line, indent, state);
}

function yaml(line, indent, state) {
  const out = [];
  let at = 0;
  let key = "";
  if (indent === 0 && line !== "" && !/^[}\]]/.test(line)) state.depth = 0; // an unclosed brace colours no more than its own part
  const give = (kind, text) => text && out.push([kind, text]);
  while (at < line.length) {
    const rest = line.slice(at);
    const space = /^\s+/.exec(rest);
    if (space) {
      give("", space[0]);
      at += space[0].length;
      continue;
    }
    if (rest[0] === "#" && (at === 0 || /\s/.test(line[at - 1]))) {
      give("comment", rest);
      break;
    }
    const found = KEY.exec(rest);
    if (found) {
      key = found[1].replace(/^["']|["']$/g, "");
      give("key", found[1]);
      give("mark", found[2]);
      at += found[0].length;
      continue;
    }
    if (FLOW.test(rest[0]) || /^-\s/.test(rest) || rest === "-" || rest === "---") {
      state.depth = Math.max(0, state.depth + ("{[".includes(rest[0]) ? 1 : "}]".includes(rest[0]) ? -1 : 0));
      const mark = rest.startsWith("---") ? "---" : rest[0];
      give("mark", mark);
      at += mark.length;
      continue;
    }
    const block = /^[|>][-+]?\d?(?=\s*(?:#|$))/.exec(rest);
    if (block && key) {
      state.block = { indent, sql: SQL_KEYS.has(key) };
      give("mark", block[0]);
      at += block[0].length;
      continue;
    }
    const value = scalar(rest, state.depth > 0);
    for (const piece of valuePieces(value, SQL_KEYS.has(key))) give(...piece);
    at += value.length;
  }
  return out;
}

/** The scalar at the start of `rest`: quoted, or plain up to what ends it. */
function scalar(rest, inFlow) {
  const quoted = /^"(?:[^"\\]|\\.)*"?/.exec(rest) ?? /^'(?:[^']|'')*'?/.exec(rest);
  if (quoted) return quoted[0];
  const end = inFlow ? rest.search(/[,\]}]|\s#/) : rest.search(/\s#/);
  const plain = (end < 0 ? rest : rest.slice(0, end)).trimEnd();
  return plain === "" ? rest[0] : plain;
}

function valuePieces(value, isSql) {
  const quote = value[0] === '"' || value[0] === "'" ? value[0] : "";
  if (isSql) {
    if (!quote) return sql(value);
    const closed = value.length > 1 && value.endsWith(quote);
    return [["mark", quote], ...sql(value.slice(1, closed ? -1 : undefined)), ...(closed ? [["mark", quote]] : [])];
  }
  if (quote) return [["text", value]];
  if (NUMBER.test(value)) return [["number", value]];
  if (DATE.test(value)) return [["date", value]];
  if (CONSTANT.test(value)) return [["constant", value]];
  return [["", value]];
}

function sql(text) {
  const tokens = text.match(SQL) ?? [];
  return tokens.map((token, i) => {
    if (token[0] === "'") return ["text", token];
    if (NUMBER.test(token)) return ["number", token];
    if (/^[A-Za-z_]/.test(token)) {
      if (WORDS.has(token.toLowerCase())) return ["word", token];
      return [tokens.slice(i + 1).find((next) => next.trim() !== "") === "(" ? "function" : "name", token];
    }
    return [/^\s/.test(token) ? "" : "mark", token];
  });
}
