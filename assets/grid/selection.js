// A range of cells: from where it was begun to where the focus is.

/** The corners of a range: rows and places of columns, each from the least to the greatest. */
export function bounds(anchor, focus, names) {
  const rows = [anchor.row, focus.row].sort((one, other) => one - other);
  const columns = [names.indexOf(anchor.column), names.indexOf(focus.column)].sort((one, other) => one - other);
  return { firstRow: rows[0], lastRow: rows[1], firstColumn: columns[0], lastColumn: columns[1] };
}

export class RangePaint {
  constructor(grid) {
    this.grid = grid;
    this.painted = new Set();
  }

  /** Mark the cells on screen that are in the range; null: none is. */
  paint(range, names) {
    if (range === null && this.painted.size === 0) return;
    const now = new Set();
    if (range !== null) {
      const within = names.slice(range.firstColumn, range.lastColumn + 1);
      for (const row of this.grid.rows) {
        if (row.number < range.firstRow || row.number > range.lastRow) continue;
        for (const name of within) now.add(row.cells.get(name).host);
      }
    }
    for (const cell of this.painted) if (!now.has(cell)) this.#mark(cell, false);
    for (const cell of now) if (!this.painted.has(cell)) this.#mark(cell, true);
    this.painted = now;
  }

  #mark(cell, on) {
    cell.classList.toggle("in", on);
    if (on) cell.setAttribute("aria-selected", "true");
    else cell.removeAttribute("aria-selected");
  }
}
