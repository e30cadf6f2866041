// Rules by which a person has cells stand out: a condition and a look, or a bar or a heat of a column's numbers.

/** Conditions on numbers: sign -> test. */
const NUMBERS = {
  "<": (value, than) => value < than,
  "<=": (value, than) => value <= than,
  ">": (value, than) => value > than,
  ">=": (value, than) => value >= than,
  "=": (value, than) => value === than,
  "<>": (value, than) => value !== than,
  between: (value, [low, high]) => value >= low && value <= high,
};
const TEXTS = {
  is: (value, text) => value.toLowerCase() === text.toLowerCase(),
  "is not": (value, text) => value.toLowerCase() !== text.toLowerCase(),
  contains: (value, text) => value.toLowerCase().includes(text.toLowerCase()),
};
/** What is drawn for every number of a column. */
export const SCALES = ["bar", "heat"];
export const OPS = { number: Object.keys(NUMBERS), text: Object.keys(TEXTS) };
/** Every look differs in more than its colour: an edge, a weight, a line. */
export const LOOKS = { bad: "Red", warn: "Amber", good: "Green", info: "Blue", dim: "Faint" };

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** Whether a rule can be used on a column of this kind. */
export function sound({ op, value, look }, kind) {
  if (kind === "number" && SCALES.includes(op)) return true;
  if (!(look in LOOKS)) return false;
  if (kind === "text") return op in TEXTS && typeof value === "string";
  return op === "between" ? Array.isArray(value) && value.length === 2 && value.every(isNumber) : op in NUMBERS && isNumber(value);
}

export class Highlights {
  /** `columns`: those of the table, by which rules that cannot be used are passed over. */
  constructor(rules, columns) {
    const kinds = new Map(columns.map(({ id, kind }) => [id, kind]));
    this.rules = new Map();
    this.ranges = new Map();
    for (const rule of rules) {
      const kind = kinds.get(rule.column);
      if (!kind || !sound(rule, kind)) continue;
      if (!this.rules.has(rule.column)) this.rules.set(rule.column, []);
      this.rules.get(rule.column).push({ ...rule, test: (kind === "text" ? TEXTS : NUMBERS)[rule.op] });
    }
  }

  /** Columns whose range must be known. */
  get scaled() {
    return [...this.rules].filter(([, rules]) => rules.some(({ op }) => SCALES.includes(op))).map(([column]) => column);
  }

  /** The numbers of a column that are known now: bars and heat go from the least to the most of them. */
  measure(column, values, skip) {
    let [least, most] = [0, 0];
    for (let at = 0; at < values.length; at += 1) {
      if (skip(at) || Number.isNaN(values[at])) continue;
      if (values[at] < least) least = values[at];
      if (values[at] > most) most = values[at];
    }
    this.ranges.set(column, { least, most });
  }

  /** The look of a value, by the first rule that holds: {look, share}; null where none does. */
  judge(column, value) {
    const rules = this.rules.get(column);
    if (!rules || Number.isNaN(value)) return null;
    for (const { op, test, value: than, look } of rules) {
      if (test?.(value, than)) return { look: `look-${look}`, share: 0 };
      if (!test) return this.#scaled(column, op, value);
    }
    return null;
  }

  #scaled(column, op, value) {
    const { least, most } = this.ranges.get(column) ?? { least: 0, most: 0 };
    const widest = Math.max(-least, most);
    if (widest === 0) return null;
    return { look: `look-${op}${value < 0 ? "-below" : ""}`, share: Math.min(1, Math.abs(value) / widest) };
  }
}
