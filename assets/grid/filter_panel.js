// The conditions of one column: of a text, words and a list of its values with how often each comes; of a number, limits.

import { quantity } from "./formats.js";
import { make } from "./dom.js";
import { givesFocusBack, openBeside } from "./popover.js";

const TYPING_MS = 200;
const LISTED = 200;
const UNITS = { k: 1e3, m: 1e6, b: 1e9 };

/** What a person types for a number: 10,000, -5k, 1.5m. NaN for nothing that is one; null for nothing at all. */
export function typedNumber(text) {
  const bare = text.trim().toLowerCase().replaceAll(",", "").replaceAll("\u2009", "").replace("%", "");
  if (bare === "") return null;
  const unit = UNITS[bare.at(-1)];
  const number = Number(unit ? bare.slice(0, -1) : bare);
  return Number.isFinite(number) && bare !== "-" ? number * (unit ?? 1) : NaN;
}

const isText = (value) => typeof value === "string";
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** Whether a condition can hold of a column of this kind: an address may have been spoilt by hand. */
export function sound({ op, value }, kind) {
  if (kind === "text") return op === "contains" || op === "not_contains" ? isText(value) : ["in", "not_in"].includes(op) && Array.isArray(value) && value.length > 0 && value.every(isText);
  if (op === "between") return Array.isArray(value) && value.length === 2 && value.every(isNumber);
  return kind === "number" && ["=", "<>", "<", "<=", ">", ">="].includes(op) && isNumber(value);
}

/** A condition in words. */
export function told({ column, op, value }, title = column) {
  const text = (one) => (one === "" ? "none" : String(one));
  if (op === "in" || op === "not_in") {
    const names = value.length > 3 ? `${value.slice(0, 2).map(text).join(", ")} and ${value.length - 2} more` : value.map(text).join(", ");
    return `${title} ${op === "in" ? "is" : "is not"} ${names}`;
  }
  if (op === "contains") return `${title} has “${value}”`;
  if (op === "not_contains") return `${title} has not “${value}”`;
  if (op === "between") return `${title} ${value[0].toLocaleString("en-US")} to ${value[1].toLocaleString("en-US")}`;
  return `${title} ${op} ${Number(value).toLocaleString("en-US", { maximumFractionDigits: 6 })}`;
}

export class FilterPanel {
  /** `values(column, search)`: a promise of {values: [[text, rows]], distinct}. `onChange(column, conditions)`. */
  constructor({ values, onChange }) {
    this.values = values;
    this.onChange = onChange;
    this.host = make("div", { id: "filter-panel", class: "panel", popover: "auto", role: "dialog", "aria-label": "Filter" });
    this.host.addEventListener("keydown", (event) => event.key === "Escape" && event.stopPropagation());
    givesFocusBack(this.host);
    document.body.append(this.host);
  }

  /** `conditions`: those of the column now. */
  open(column, conditions, anchor) {
    this.column = column;
    this.host.setAttribute("aria-label", `Filter of ${column.header}`);
    const title = make("b", {}, `${column.group ? `${column.group} ` : ""}${column.header}`);
    this.clear = make("button", { class: "plain", type: "button", onclick: () => this.#cleared() }, "No condition");
    const body = column.kind === "text" ? this.#text(conditions) : this.#number(conditions);
    this.host.replaceChildren(make("div", { class: "line" }, title, this.clear), body);
    if (this.host.matches(":popover-open")) this.host.hidePopover();
    openBeside(this.host, anchor);
    this.host.querySelector("input")?.focus();
  }

  #cleared() {
    this.onChange(this.column, []);
    this.host.hidePopover();
  }

  #tell(conditions) {
    this.onChange(this.column, conditions.map((each) => ({ column: this.column.id, ...each })));
  }

  #number(conditions) {
    const given = new Map(conditions.map(({ op, value }) => [op, value]));
    const between = given.get("between") ?? [];
    const field = (label, op, value) => make("label", {}, make("span", {}, label), make("input", { type: "text", inputmode: "decimal", "data-op": op, placeholder: "any, 10k, 1.5m", value: value ?? null, autocomplete: "off", oninput: () => this.#limited() }));
    this.fields = make("div", { class: "limits" }, field("At least", ">=", given.get(">=") ?? between[0]), field("At most", "<=", given.get("<=") ?? between[1]),
      field("More than", ">", given.get(">")), field("Less than", "<", given.get("<")), field("Equal to", "=", given.get("=")), field("Other than", "<>", given.get("<>")));
    const quick = [["Below zero", "<", 0], ["Zero", "=", 0], ["Above zero", ">", 0], ["Not zero", "<>", 0]];
    const buttons = quick.map(([label, op, value]) => make("button", { type: "button", onclick: () => this.#quick(op, value) }, label));
    return make("div", {}, make("div", { class: "quick" }, ...buttons), this.fields);
  }

  #quick(op, value) {
    for (const input of this.fields.querySelectorAll("input")) input.value = input.dataset.op === op ? String(value) : "";
    this.#limited();
  }

  #limited() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      const conditions = [];
      for (const input of this.fields.querySelectorAll("input")) {
        const value = typedNumber(input.value);
        input.setAttribute("aria-invalid", String(Number.isNaN(value)));
        if (value !== null && !Number.isNaN(value)) conditions.push({ op: input.dataset.op, value });
      }
      this.#tell(conditions);
    }, TYPING_MS);
  }

  #text(conditions) {
    this.words = conditions.find(({ op }) => op === "contains")?.value ?? "";
    this.chosen = new Set(conditions.find(({ op }) => op === "in")?.value ?? []);
    this.others = conditions.filter(({ op }) => op !== "contains" && op !== "in");
    const words = make("input", { type: "search", class: "words", placeholder: "Has these letters…", "aria-label": "Has these letters", value: this.words || null, spellcheck: "false", autocomplete: "off", oninput: () => this.#typed(words.value) });
    const search = make("input", { type: "search", class: "seek", placeholder: "Find a value…", "aria-label": "Find a value", spellcheck: "false", autocomplete: "off", oninput: () => this.#list(search.value) });
    this.list = make("div", { class: "values", role: "group", "aria-label": "Values", "aria-live": "polite" }, "Counting…");
    this.list.addEventListener("keydown", (event) => this.#arrows(event));
    search.addEventListener("keydown", (event) => this.#arrows(event));
    this.#list("");
    return make("div", {}, words, search, this.list);
  }

  #arrows(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const stops = [this.host.querySelector(".seek"), ...this.list.querySelectorAll("input")];
    stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(document.activeElement) + by))].focus();
  }

  #typed(text) {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      this.words = text.trim();
      this.#textChanged();
    }, TYPING_MS);
  }

  async #list(search) {
    const turn = (this.turn = Symbol("list"));
    const { column } = this;
    try {
      const answer = await this.values(column, search.trim());
      if (turn === this.turn) this.#show(answer);
    } catch (error) {
      if (turn === this.turn) this.list.replaceChildren(make("p", { class: "trouble", role: "alert" }, `The values could not be counted: ${error.message}`));
    }
  }

  #show({ values, distinct }) {
    const choice = ([text, rows]) => {
      const box = make("input", { type: "checkbox", "data-value": text, onchange: () => this.#set(text, box.checked) });
      box.checked = this.chosen.has(text);
      return make("label", { class: text ? null : "nothing" }, box, make("span", {}, text || "none"), make("small", {}, quantity(rows)));
    };
    const more = distinct > values.length ? [make("p", {}, `${quantity(distinct - values.length)} more: find by letters`)] : [];
    const none = values.length ? [] : [make("p", {}, "No value has these letters")];
    this.list.replaceChildren(...values.slice(0, LISTED).map(choice), ...more, ...none);
  }

  #set(text, on) {
    if (on) this.chosen.add(text);
    else this.chosen.delete(text);
    this.#textChanged();
  }

  #textChanged() {
    const words = this.words ? [{ op: "contains", value: this.words }] : [];
    const chosen = this.chosen.size ? [{ op: "in", value: [...this.chosen] }] : [];
    this.#tell([...this.others, ...words, ...chosen]);
  }
}
