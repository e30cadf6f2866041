// What the pointer does in the grid's rows: hovers, opens a row, draws a range of cells, asks for the menu.

const EDGE_PX = 24;
const STEP_ROWS = 2;
const STEP_MS = 50;

export class Pointer {
  constructor(grid) {
    this.grid = grid;
    this.pressed = undefined;
    this.hovered = undefined;
    this.drawing = false;
    const { space, scroller } = grid;
    space.addEventListener("pointerdown", (event) => this.#down(event));
    space.addEventListener("click", (event) => this.#clicked(event));
    space.addEventListener("contextmenu", (event) => this.#menu(event));
    space.addEventListener("pointerover", (event) => this.#hover(this.#under(event.target)));
    space.addEventListener("pointerleave", () => this.#hover(undefined));
    scroller.addEventListener("dragstart", (event) => event.preventDefault());
  }

  /** Other rows stand in the grid from now on. */
  forget() {
    this.pressed = this.hovered = undefined;
  }

  #under(target) {
    const half = target.closest?.(".row");
    return half && this.grid.rows.find((row) => row.host === half || row.pinned === half);
  }

  #cellUnder(target) {
    const row = this.#under(target);
    const column = target.closest?.(".cell")?.dataset.column ?? this.grid.focus.column;
    return row && row.number >= 0 ? { row: row.number, column } : undefined;
  }

  #hover(row) {
    if (row === this.hovered) return;
    this.hovered?.hover(false);
    row?.hover(true);
    this.hovered = row;
  }

  // rows change places while a finger is on its way up: what was under it when it went down is what is meant
  #down(event) {
    if (event.button !== 0) return;
    const cell = this.#cellUnder(event.target);
    const { grid } = this;
    this.drawing = false;
    this.pressed = cell && { ...cell, code: grid.codeAt(cell.row), id: grid.idAt(cell.row), group: grid.groupAt(cell.row), extends: event.shiftKey };
    if (!cell) return;
    if (event.shiftKey) {
      event.preventDefault();
      grid.scroller.focus({ preventScroll: true });
      grid.focus.extend(cell.row, cell.column);
    }
    if (event.pointerType === "touch") return; // a finger scrolls
    const move = (moved) => this.#draw(moved);
    const up = () => {
      window.removeEventListener("pointermove", move);
      clearInterval(this.pulling);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", up, { once: true });
    window.addEventListener("pointercancel", up, { once: true });
  }

  #draw(event) {
    const { grid, pressed } = this;
    if (!pressed) return;
    this.at = { x: event.clientX, y: event.clientY };
    const cell = this.#cellUnder(document.elementFromPoint(this.at.x, this.at.y) ?? grid.space);
    if (!this.drawing && cell && (cell.row !== pressed.row || cell.column !== pressed.column)) {
      this.drawing = true;
      grid.scroller.focus({ preventScroll: true });
      if (!pressed.extends) grid.focus.set(pressed.row, pressed.column);
      this.pulling = setInterval(() => this.#pull(), STEP_MS);
    }
    if (this.drawing && cell) grid.focus.extend(cell.row, cell.column);
  }

  // at the edge, what lies beyond it comes
  #pull() {
    const { grid } = this;
    const box = grid.scroller.getBoundingClientRect();
    const by = this.at.y > box.bottom - EDGE_PX - grid.totals.height ? STEP_ROWS : this.at.y < box.top + EDGE_PX + grid.header.host.offsetHeight ? -STEP_ROWS : 0;
    if (by) grid.focus.extend(grid.focus.row + by, grid.focus.column);
  }

  #clicked(event) {
    const { grid, pressed } = this;
    if (!pressed || this.drawing || pressed.extends || window.getSelection().type === "Range") return;
    grid.focus.set(pressed.row, pressed.column);
    grid.scroller.focus({ preventScroll: true });
    if (pressed.group && grid.groupAt(pressed.row)?.label === pressed.group.label && !pressed.code) grid.open(pressed.row);
    else if (pressed.code && event.detail < 2) grid.events.onOpen({ code: pressed.code, id: pressed.id, column: pressed.column });
  }

  #menu(event) {
    const cell = this.#cellUnder(event.target);
    if (!cell) return;
    event.preventDefault();
    const { grid } = this;
    if (!grid.focus.covers(cell.row, cell.column)) grid.focus.set(cell.row, cell.column);
    grid.scroller.focus({ preventScroll: true });
    grid.askMenu({ x: event.clientX, y: event.clientY });
  }
}
