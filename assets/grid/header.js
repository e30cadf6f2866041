// The grid's head: what the columns are, by what the view is sorted, how wide they are.

import { make } from "./dom.js";

const LEAST_WIDTH = 40;
const KEY = "ims-widths";
const ARROW = { asc: "▲", desc: "▼" };

/** The next sort after a click: the first direction a column offers, the other, none. `add` keeps other columns' keys. */
export function nextSort(sort, column, add) {
  const [first, second] = column.kind === "number" ? ["desc", "asc"] : ["asc", "desc"];
  const now = sort.find(([id]) => id === column.id)?.[1];
  const next = now === undefined ? first : now === first ? second : undefined;
  if (!add) return next ? [[column.id, next]] : [];
  if (now === undefined) return [...sort, [column.id, next]];
  return sort.flatMap(([id, direction]) => (id !== column.id ? [[id, direction]] : next ? [[id, next]] : []));
}

export class Header {
  /** `onSort(sort)` follows a click, `onWidth()` a drag. */
  constructor(columns, sort, { onSort, onWidth }) {
    this.columns = columns;
    this.sort = sort;
    this.onSort = onSort;
    this.onWidth = onWidth;
    this.kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    this.widths = new Map(this.columns.map((column) => [column.id, this.kept[column.id] ?? column.width]));
    this.style = document.createElement("style");
    this.heads = new Map(this.columns.map((column) => [column.id, this.#head(column)]));
    this.groups = this.#groups();
    this.host = make("div", { class: "head", role: "row" }, ...this.heads.values(), ...this.groups.map((group) => group.host));
    this.#lay();
    this.#mark();
  }

  width() {
    return [...this.widths.values()].reduce((sum, width) => sum + width, 0);
  }

  /** Give what is left of a wide screen to the first column, unless a person has set its width. */
  fit(available) {
    const [first] = this.columns;
    if (first.id in this.kept) return;
    const others = this.width() - this.widths.get(first.id);
    this.widths.set(first.id, Math.min(first.most ?? Infinity, Math.max(first.width, available - others)));
    this.#lay();
  }

  /** Left edge and width of a column, in pixels. */
  span(id) {
    let left = 0;
    for (const [each, width] of this.widths) {
      if (each === id) return { left, width };
      left += width;
    }
    throw new Error(`no column ${id}`);
  }

  #head(column) {
    const grip = make("i", { class: "grip", onpointerdown: (event) => this.#drag(event, column), onclick: (event) => event.stopPropagation() });
    const label = make("span", { class: "label" }, column.header);
    const mark = make("span", { class: "mark", "aria-hidden": "true" });
    const shape = `hcell c-${column.style} ${column.kind === "number" ? "num" : "txt"}${column.group ? " low" : ""}`;
    const host = make("div", { class: shape, role: "columnheader", tabindex: 0, title: column.tip, "data-head": column.id }, label, mark, grip);
    const click = (event) => this.#clicked(column, event.shiftKey);
    host.addEventListener("click", click);
    host.addEventListener("keydown", (event) => event.key === "Enter" && click(event));
    return host;
  }

  #groups() {
    const groups = new Map();
    for (const column of this.columns) {
      if (!column.group) continue;
      if (!groups.has(column.group)) groups.set(column.group, { ids: [], host: make("div", { class: "hgroup", "aria-hidden": "true" }, column.group) });
      groups.get(column.group).ids.push(column.id);
    }
    return [...groups.values()];
  }

  #clicked(column, add) {
    this.sort = nextSort(this.sort, column, add);
    this.#mark();
    this.onSort(this.sort);
  }

  #mark() {
    for (const [id, head] of this.heads) {
      const at = this.sort.findIndex(([each]) => each === id);
      const direction = this.sort[at]?.[1];
      head.querySelector(".mark").textContent = direction ? ARROW[direction] + (this.sort.length > 1 ? at + 1 : "") : "";
      head.setAttribute("aria-sort", direction ? `${direction}ending` : "none");
    }
  }

  #drag(down, column) {
    down.preventDefault();
    down.stopPropagation();
    const grip = down.target;
    const from = this.widths.get(column.id) - down.clientX;
    const move = (event) => {
      this.kept[column.id] = Math.max(LEAST_WIDTH, Math.round(from + event.clientX));
      this.widths.set(column.id, this.kept[column.id]);
      this.#lay();
      this.onWidth();
    };
    grip.setPointerCapture(down.pointerId);
    grip.addEventListener("pointermove", move);
    grip.addEventListener("pointerup", () => {
      grip.removeEventListener("pointermove", move);
      localStorage.setItem(KEY, JSON.stringify(this.kept));
    }, { once: true });
  }

  // one rule per column: a drag changes rules, not a thousand elements
  #lay() {
    let left = 0;
    const rules = [];
    for (const { id, style } of this.columns) {
      const width = this.widths.get(id);
      rules.push(`.c-${style}{left:${left}px;width:${width}px}`);
      left += width;
    }
    this.style.textContent = rules.join("");
    for (const { ids, host } of this.groups) {
      const first = this.span(ids[0]);
      const last = this.span(ids.at(-1));
      host.style.left = `${first.left}px`;
      host.style.width = `${last.left + last.width - first.left}px`;
    }
  }
}
