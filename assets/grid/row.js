// One row on screen: cells side by side, moved to wherever the view needs a row.

import { LiveCell } from "./cell.js";
import { make } from "./dom.js";

export class LiveRow {
  /** The cells of the pinned column go into `pinned`, a pane beside the row, at the same height. */
  constructor(columns, height) {
    this.height = height;
    this.number = -1;
    this.selected = false;
    this.cells = new Map(columns.map((column) => [column.id, new LiveCell(column)]));
    this.host = part(this.cells, (column) => !column.pinned);
    this.pinned = part(this.cells, (column) => column.pinned);
  }

  /** Stand for row `number` of the view; -1 takes it off the screen. */
  place(number) {
    this.number = number;
    this.selected = false;
    for (const half of [this.host, this.pinned]) {
      half.hidden = number < 0;
      half.classList.remove("sel");
      half.classList.toggle("odd", number % 2 === 1);
      half.style.top = `${number * this.height}px`;
      half.setAttribute("aria-rowindex", number + 2);
    }
  }

  hover(on) {
    for (const half of [this.host, this.pinned]) half.classList.toggle("hover", on);
  }

  select(on) {
    if (this.selected === on) return;
    this.selected = on;
    for (const half of [this.host, this.pinned]) half.classList.toggle("sel", on);
  }
}

function part(cells, wanted) {
  const host = make("div", { class: "row", role: "row" });
  for (const cell of cells.values()) if (wanted(cell.column)) host.append(cell.host);
  return host;
}
