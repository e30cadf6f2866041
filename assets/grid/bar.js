// The bar above the grid: by what the view is grouped and pivoted, its conditions, whether sums are shown.

import { make } from "./dom.js";
import { told } from "./filter_panel.js";
import { choices } from "./measures.js";

const MOST_GROUPS = 6;

export class Bar {
  /**
   * `state` is changed in place; `onChange()` follows. `shown()`: the table's columns as they are arranged now.
   * `onFilter(column, element)`: a condition is to be changed; `onHighlights(element)`.
   */
  constructor(host, state, { table, shown, onChange, onFilter, onHighlights }) {
    this.host = host;
    this.state = state;
    this.table = table;
    this.shown = shown;
    this.onChange = onChange;
    this.onFilter = onFilter;
    this.onHighlights = onHighlights;
    this.columns = [];
    this.open = table.bar;
    host.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The columns there are. */
  offer(columns) {
    this.columns = columns;
    this.renew();
  }

  /** Show what the state is now. */
  renew() {
    const { state } = this;
    const used = state.groups.length > 0 || state.where.length > 0 || state.formats.length > 0;
    this.host.hidden = !(this.open || used);
    const parts = [this.#groups(), this.#pivot(), this.#levels(), this.#conditions(), this.#totals(), this.#looks()];
    const focused = this.host.contains(document.activeElement) ? document.activeElement.dataset.key : "";
    this.host.replaceChildren(...parts.filter(Boolean));
    if (focused) (this.host.querySelector(`[data-key="${CSS.escape(focused)}"]`) ?? this.host.querySelector("select, button"))?.focus();
  }

  toggle() {
    this.open = !this.open;
    this.renew();
  }

  /** A column is carried over the bar; `done`: and let go. */
  carried(column, x, y, done) {
    const box = this.host.getBoundingClientRect();
    const over = !this.host.hidden && x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
    this.host.classList.toggle("target", over && !done && this.#groupable(column));
    if (over && done) this.group(column.id);
  }

  /** Group by a column too. */
  group(id) {
    const column = this.columns.find((each) => each.id === id);
    const { state } = this;
    if (!column || !this.#groupable(column) || state.groups.includes(id) || state.groups.length >= MOST_GROUPS) return;
    state.groups = [...state.groups, id];
    state.toggled = [];
    if (state.pivot === id) state.pivot = "";
    this.#changed();
  }

  ungroup(id) {
    const { state } = this;
    state.groups = state.groups.filter((each) => each !== id);
    state.depth = Math.min(state.depth, state.groups.length);
    state.toggled = [];
    if (state.groups.length === 0) state.pivot = "";
    this.#changed();
  }

  /** No groups at all. */
  clear() {
    Object.assign(this.state, { groups: [], toggled: [], depth: 0, pivot: "" });
    this.#changed();
  }

  /** Open all groups down to a depth, and close those below. */
  deepen(depth) {
    Object.assign(this.state, { depth, toggled: [] });
    this.#changed();
  }

  pivot(id) {
    const { state } = this;
    state.pivot = id;
    state.toggled = [];
    if (id && state.groups.length === 0) {
      const first = this.columns.find((column) => this.#groupable(column) && column.id !== id && ["market", "name"].includes(column.id));
      state.groups = [first?.id ?? this.#texts().find((column) => column.id !== id).id];
    }
    state.groups = state.groups.filter((each) => each !== id);
    this.#changed();
  }

  #groupable(column) {
    return column.kind === "text" && !column.tree;
  }

  #texts() {
    return this.columns.filter((column) => this.#groupable(column));
  }

  #title(id) {
    const column = this.columns.find((each) => each.id === id);
    return column ? [column.group, column.header].filter(Boolean).join(" ") : id;
  }

  #changed() {
    this.renew();
    this.onChange();
  }

  #chip(key, label, tip, onRemove, onOpen) {
    const open = onOpen ? make("button", { class: "word", type: "button", "data-key": `open ${key}`, onclick: (event) => onOpen(event.currentTarget) }, label) : make("span", { class: "word" }, label);
    const remove = make("button", { class: "off", type: "button", "data-key": key, title: tip, "aria-label": tip, onclick: onRemove }, "✕");
    return make("span", { class: "chosen", "data-chip": key }, open, remove);
  }

  #select(key, label, empty, columns, chosen, act) {
    const select = make("select", { "aria-label": label, "data-key": key, onchange: () => act(select.value) }, make("option", { value: "" }, empty));
    for (const { id } of columns) select.append(make("option", { value: id }, this.#title(id)));
    select.value = chosen;
    return select;
  }

  #groups() {
    const { groups } = this.state;
    const left = this.#texts().filter(({ id }) => !groups.includes(id));
    const chips = groups.flatMap((id, at) => {
      const chip = this.#chip(`group ${id}`, this.#title(id), `Do not group by ${this.#title(id)}`, () => this.ungroup(id));
      chip.tabIndex = 0;
      chip.dataset.key = `move ${id}`;
      chip.title = "Left and right arrows move it, Delete takes it away";
      chip.draggable = true;
      chip.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/ims-group", id));
      chip.addEventListener("dragover", (event) => event.preventDefault());
      chip.addEventListener("drop", (event) => this.#put(event.dataTransfer.getData("text/ims-group"), at));
      return at ? [make("span", { class: "then", "aria-hidden": "true" }, "›"), chip] : [chip];
    });
    const add = this.#select("group", "Group by", groups.length ? "+" : "choose, or drag a column here", left, "", (id) => this.group(id));
    return make("span", { class: "part", id: "groups", role: "group", "aria-label": "Group by" }, make("small", {}, "Group by"), ...chips, ...(groups.length < MOST_GROUPS ? [add] : []));
  }

  #put(id, at) {
    if (!this.state.groups.includes(id)) return;
    const others = this.state.groups.filter((each) => each !== id);
    others.splice(at, 0, id);
    this.state.groups = others;
    this.state.toggled = [];
    this.#changed();
  }

  #key(event) {
    const id = event.target.dataset.key?.startsWith("move ") ? event.target.dataset.key.slice(5) : "";
    if (!id) return;
    const at = this.state.groups.indexOf(id);
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && this.state.groups[at + by] !== undefined) this.#put(id, at + by);
    else if (event.key === "Delete" || event.key === "Backspace") this.ungroup(id);
    else return;
    event.preventDefault();
  }

  #pivot() {
    if (this.state.groups.length === 0 && !this.state.pivot) return null;
    const columns = this.#texts().filter(({ id }) => !this.state.groups.includes(id));
    const select = this.#select("pivot", "Pivot by", "no pivot", columns, this.state.pivot, (id) => this.pivot(id));
    return make("span", { class: "part", id: "pivot" }, make("small", {}, "Across"), select, ...(this.state.pivot ? [make("small", {}, "of"), this.#measure()] : []));
  }

  #measure() {
    const offered = choices(this.shown());
    const select = make("select", { "aria-label": "Of which numbers", "data-key": "measure" }, ...offered.map(([id, title]) => make("option", { value: id }, title)));
    select.value = offered.some(([id]) => id === this.state.measure) ? this.state.measure : offered[0][0];
    select.addEventListener("change", () => {
      this.state.measure = select.value;
      this.#changed();
    });
    return select;
  }

  // how deep groups are open; single ones are opened in the grid
  #levels() {
    const { state } = this;
    const deepest = state.groups.length - (state.pivot ? 1 : 0);
    if (state.groups.length === 0 || deepest === 0) return null;
    const button = (label, depth, key) => make("button", { type: "button", "data-key": key, "aria-pressed": String(state.depth === depth && state.toggled.length === 0), onclick: () => this.deepen(depth) }, label);
    return make("span", { class: "part", role: "group", "aria-label": "Open groups" }, button("Close all", 0, "closed"), ...state.groups.slice(0, deepest - 1).map((_, at) => button(`${at + 1}`, at + 1, `depth ${at + 1}`)), button("Open all", deepest, "opened"));
  }

  #conditions() {
    const { where } = this.state;
    if (where.length === 0) return null;
    const chips = where.map((each, at) =>
      this.#chip(`condition ${at}`, told(each, this.#title(each.column)), "Without this condition", () => {
        this.state.where = where.filter((other) => other !== each);
        this.#changed();
      }, (element) => this.onFilter(each.column, element)),
    );
    return make("span", { class: "part", id: "conditions", role: "group", "aria-label": "Conditions" }, make("small", {}, "Where"), ...chips);
  }

  #totals() {
    const shown = this.state.totals ?? this.table.totals;
    const act = () => {
      this.state.totals = !shown === this.table.totals ? null : !shown;
      this.#changed();
    };
    return make("button", { type: "button", id: "totals", "data-key": "totals", "aria-pressed": String(shown), title: "Sums of everything that passes the filter, at the bottom", onclick: act }, "Totals");
  }

  #looks() {
    const count = this.state.formats.length;
    return make("button", { type: "button", id: "highlights", "data-key": "highlights", "aria-haspopup": "dialog", title: "Rules by which cells stand out", onclick: (event) => this.onHighlights(event.currentTarget) }, count ? `Highlights (${count})` : "Highlights");
  }
}
