// One row on screen: cells side by side, moved to wherever the view needs a row.

import { LiveCell } from "./cell.js";
import { make } from "./dom.js";
import { CLOSED, DATA, OPEN } from "./rows.js";

export class LiveRow {
  /** The cells of the columns that stay in sight go into `pinned`, a pane beside the row, at the same height. */
  constructor(columns) {
    this.number = -1;
    this.selected = false;
    this.group = "";
    this.cells = new Map(columns.map((column, at) => [column.id, new LiveCell(column, at)]));
    this.host = part(this.cells, (column) => !column.pinned);
    this.pinned = part(this.cells, (column) => column.pinned);
    this.halves = [this.host, this.pinned];
  }

  /** Stand for row `number` of the view, `y` pixels down the space; -1 takes it off the screen. */
  place(number, y) {
    this.number = number;
    this.selected = false;
    for (const half of this.halves) {
      half.hidden = number < 0;
      half.classList.remove("sel");
      half.classList.toggle("odd", number % 2 === 1);
      half.style.top = `${y}px`;
      half.setAttribute("aria-rowindex", number + 2);
    }
  }

  /** The space has been shortened elsewhere: the same row, at another place. */
  move(y) {
    for (const half of this.halves) half.style.top = `${y}px`;
  }

  hover(on) {
    for (const half of this.halves) half.classList.toggle("hover", on);
  }

  select(on) {
    if (this.selected === on) return;
    this.selected = on;
    for (const half of this.halves) {
      half.classList.toggle("sel", on);
      if (on) half.setAttribute("aria-selected", "true");
      else half.removeAttribute("aria-selected");
    }
  }

  /** What the row stands for in a tree; null: a row of a flat view, or nothing yet. */
  stand(group) {
    const told = group ? `${group.level} ${group.state}` : "";
    if (told === this.group) return;
    this.group = told;
    for (const half of this.halves) {
      half.classList.toggle("group", Boolean(group) && group.state !== DATA);
      half.classList.toggle("outer", Boolean(group) && group.state !== DATA && group.level === 0);
      if (!group) {
        half.removeAttribute("aria-level");
        half.removeAttribute("aria-expanded");
        continue;
      }
      half.setAttribute("aria-level", group.level + 1);
      if (group.state === OPEN || group.state === CLOSED) half.setAttribute("aria-expanded", String(group.state === OPEN));
      else half.removeAttribute("aria-expanded");
    }
  }
}

function part(cells, wanted) {
  const host = make("div", { class: "row", role: "row" });
  for (const cell of cells.values()) if (Boolean(wanted(cell.column))) host.append(cell.host);
  return host;
}
