// The last line of the grid, always in sight: sums of everything that passes the filter.

import { make } from "./dom.js";
import { fitted } from "./formats.js";

const HEIGHT = 24;

export class Totals {
  /** `onChosen(id, value)`: a person wants to see what the sum of a column is mostly made of. */
  constructor(onChosen) {
    this.pinned = make("div", { class: "tpinned", role: "row" });
    this.others = make("div", { class: "trow", role: "row" });
    this.host = make("div", { class: "totals", role: "rowgroup", "aria-label": "Totals", hidden: "" }, this.pinned, this.others);
    this.cells = new Map();
    this.names = [];
    this.values = null;
    this.host.addEventListener("click", (event) => {
      const id = event.target.closest("[data-total]")?.dataset.total;
      const value = this.values?.[this.names.indexOf(id)];
      if (this.cells.get(id)?.told) onChosen(id, value);
    });
  }

  get height() {
    return this.host.hidden ? 0 : HEIGHT;
  }

  arrange(columns, names) {
    this.names = names;
    this.values = null;
    this.cells.clear();
    this.pinned.replaceChildren();
    this.others.replaceChildren();
    columns.forEach((column, at) => {
      const shape = `cell c-${column.style} ${column.kind === "number" ? "num" : "txt"}`;
      const cell = make("div", { class: shape, role: "gridcell", "aria-colindex": at + 1, "data-total": column.id });
      if (at === 0) cell.textContent = "Total";
      (column.pinned ? this.pinned : this.others).append(cell);
      if (column.kind === "number") this.cells.set(column.id, { cell, column, told: "" });
    });
  }

  /** One value per column of the view; null takes the line away. */
  show(values) {
    this.host.hidden = values === null;
    this.values = values;
    if (values === null) return;
    this.names.forEach((name, at) => {
      const shown = this.cells.get(name);
      if (!shown) return;
      const value = values[at];
      const text = Number.isNaN(value) || shown.column.age ? "" : shown.column.show(value);
      if (shown.told === text) return;
      shown.told = text;
      shown.cell.title = text && `${text}. Click: what it is mostly made of comes first`;
      shown.cell.textContent = fitted(text, value);
      shown.cell.classList.toggle("neg", value < 0);
    });
  }
}
