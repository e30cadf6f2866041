// A table whose cells change in place: what has the focus keeps it, what is selected stays selected.

import { make } from "../grid/dom.js";

export class LiveTable {
  /**
   * `columns`: [{id, title, tip, num, cell(td, row)}]; `key(row)`: what a row is known by; `mark(tr, row)`: its look.
   * The first column is the row's header.
   */
  constructor({ label, columns, key, mark = () => {} }) {
    this.columns = columns;
    this.key = key;
    this.mark = mark;
    this.rows = new Map();
    const heads = columns.map(({ id, title, tip, num }) => make("th", { scope: "col", class: num && "num", title: tip, "data-column": id }, title));
    this.body = make("tbody");
    this.table = make("table", { "aria-label": label }, make("thead", {}, make("tr", {}, ...heads)), this.body);
  }

  show(rows) {
    const keys = new Set(rows.map((row) => String(this.key(row))));
    for (const [key, { tr }] of this.rows) {
      if (keys.has(key)) continue;
      tr.remove();
      this.rows.delete(key);
    }
    rows.forEach((row, at) => this.#row(row, at));
  }

  #row(row, at) {
    const key = String(this.key(row));
    let kept = this.rows.get(key);
    if (!kept) {
      const cells = this.columns.map(({ id, num }, i) => make(i ? "td" : "th", { class: num && "num", scope: i ? null : "row", "data-column": id }));
      kept = { tr: make("tr", { "data-key": key }, ...cells), cells };
      this.rows.set(key, kept);
    }
    this.mark(kept.tr, row);
    this.columns.forEach(({ cell }, i) => put(kept.cells[i], cell(row, kept.cells[i])));
    if (this.body.children[at] !== kept.tr) this.body.insertBefore(kept.tr, this.body.children[at] ?? null);
  }
}

/** Text or an element into a cell, only where it is another than before. Undefined: the cell has seen to itself. */
export function put(td, content) {
  if (content === undefined) return;
  if (typeof content === "string") {
    if (td.textContent !== content || td.firstElementChild) td.textContent = content;
  } else if (td.firstChild !== content) td.replaceChildren(content);
}

/** A link that stays the same element: only its text, address and look change. */
export function link(td, { href, text, title = "", tone = "" }) {
  let kept = td.firstElementChild;
  if (kept?.tagName !== "A") {
    kept = make("a", {});
    td.replaceChildren(kept);
  }
  if (kept.textContent !== text) kept.textContent = text;
  if (kept.getAttribute("href") !== href) kept.setAttribute("href", href);
  kept.title = title;
  kept.className = tone;
}
