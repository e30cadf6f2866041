// The small editor of rules by which cells stand out. They are kept with the view.

import { typedNumber } from "./filter_panel.js";
import { LOOKS, OPS, SCALES, sound } from "./highlights.js";
import { make } from "./dom.js";
import { givesFocusBack, openBeside } from "./popover.js";

const WORDS = { bar: "as a bar", heat: "as heat" };

export class HighlightsPanel {
  /** `onChange(rules)` follows every change. */
  constructor(onChange) {
    this.onChange = onChange;
    this.host = make("div", { id: "highlights-panel", class: "panel", popover: "auto", role: "dialog", "aria-label": "Highlights" });
    this.host.addEventListener("keydown", (event) => event.key === "Escape" && event.stopPropagation());
    givesFocusBack(this.host);
    document.body.append(this.host);
  }

  /** `column`: the one a new rule is offered for. */
  open(rules, columns, anchor, column = "") {
    this.rules = rules.map((rule) => ({ ...rule }));
    this.columns = columns.filter(({ tree }) => !tree);
    this.offered = this.columns.find(({ id }) => id === column) ?? this.columns.find(({ kind }) => kind === "number") ?? this.columns[0];
    this.#draw();
    if (this.host.matches(":popover-open")) this.host.hidePopover();
    openBeside(this.host, anchor);
    this.host.querySelector(".new select")?.focus();
  }

  #draw() {
    const list = this.rules.map((rule, at) => this.#line(rule, at));
    const none = list.length ? [] : [make("p", {}, "No cell stands out yet. The first rule that holds gives a cell its look.")];
    this.host.replaceChildren(make("div", { class: "line" }, make("b", {}, "Cells that stand out")), ...none, ...list, this.#new());
  }

  #title({ group, header }) {
    return [group, header].filter(Boolean).join(" ");
  }

  #line(rule, at) {
    const column = this.columns.find(({ id }) => id === rule.column);
    const value = SCALES.includes(rule.op) ? WORDS[rule.op] : `${rule.op} ${Array.isArray(rule.value) ? rule.value.join(" to ") : rule.value}`;
    const sample = make("span", { class: `sample look look-${SCALES.includes(rule.op) ? rule.op : rule.look}`, style: "--share:0.6" }, SCALES.includes(rule.op) ? "1,234" : LOOKS[rule.look]);
    const move = make("button", { type: "button", disabled: at === 0, title: "Judge it sooner", "aria-label": "Judge it sooner", onclick: () => this.#change(() => this.rules.splice(at - 1, 0, ...this.rules.splice(at, 1))) }, "↑");
    const remove = make("button", { type: "button", title: "Take the rule away", "aria-label": "Take the rule away", onclick: () => this.#change(() => this.rules.splice(at, 1)) }, "✕");
    return make("div", { class: "rule", "data-rule": at }, make("span", { class: "words" }, `${column ? this.#title(column) : rule.column} ${value}`), sample, move, remove);
  }

  #new() {
    const columns = make("select", { "aria-label": "Column", name: "column" }, ...this.columns.map((column) => make("option", { value: column.id }, this.#title(column))));
    columns.value = this.offered.id;
    const ops = make("select", { "aria-label": "Condition", name: "op" });
    const value = make("input", { type: "text", "aria-label": "Value", name: "value", autocomplete: "off" });
    const looks = make("select", { "aria-label": "Look", name: "look" }, ...Object.entries(LOOKS).map(([id, label]) => make("option", { value: id }, label)));
    const trouble = make("span", { class: "trouble", role: "alert" });
    const fitted = () => {
      const scale = SCALES.includes(ops.value);
      value.hidden = looks.hidden = scale;
      value.placeholder = ops.value === "between" ? "-5k 10k" : this.offered.kind === "number" ? "0, 10k, 1.5m" : "text";
    };
    const offer = () => {
      this.offered = this.columns.find(({ id }) => id === columns.value);
      const names = [...OPS[this.offered.kind], ...(this.offered.kind === "number" ? SCALES : [])];
      ops.replaceChildren(...names.map((name) => make("option", { value: name }, WORDS[name] ?? name)));
      fitted();
    };
    columns.addEventListener("change", offer);
    ops.addEventListener("change", fitted);
    offer();
    const form = make("form", { class: "new" }, columns, ops, value, looks, make("button", { type: "submit" }, "Add"), trouble);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const rule = this.#read(ops.value, value.value, looks.value);
      trouble.textContent = rule ? "" : "This value cannot be compared with";
      if (rule) this.#change(() => this.rules.push(rule));
    });
    return form;
  }

  #read(op, text, look) {
    const { id, kind } = this.offered;
    const numbers = () => (op === "between" ? text.trim().split(/\s+(?:to\s+)?/).map(typedNumber) : typedNumber(text));
    const value = SCALES.includes(op) ? "" : kind === "number" ? numbers() : text.trim();
    const rule = { column: id, op, value, look: SCALES.includes(op) ? op : look };
    return sound(rule, kind) && value !== null ? rule : null;
  }

  #change(act) {
    act();
    this.onChange(this.rules);
    this.#draw();
    this.host.querySelector(".new select")?.focus();
  }
}
