// The focused cell and the range that begins or ends in it: moved by the keys a trader's hand knows.

import { bounds, RangePaint } from "./selection.js";
import { CLOSED, OPEN } from "./rows.js";

export class Focus {
  constructor(grid) {
    this.grid = grid;
    this.names = [];
    this.row = -1;
    this.column = "";
    this.anchor = null;
    this.marked = null;
    this.painting = new RangePaint(grid);
    grid.scroller.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Other columns: the focus stays on its own, or goes to the first. */
  arrange(names) {
    this.names = names;
    this.marked = null;
    this.painting.painted.clear();
    if (this.row < 0 || !names.includes(this.column)) [this.column] = names;
    if (this.anchor && !names.includes(this.anchor.column)) this.anchor = null;
  }

  /** Another view: the rows are others. */
  clear() {
    this.row = -1;
    this.anchor = null;
    this.draw();
  }

  set(row, column) {
    this.row = row;
    this.column = column;
    this.anchor = null;
    this.draw();
  }

  /** The keyboard comes from the head. */
  enter(column) {
    this.grid.scroller.focus({ preventScroll: true });
    this.set(Math.max(this.row, Math.min(this.grid.top, this.grid.total - 1)), column);
    if (this.row >= 0) this.grid.reveal(this.row, column);
  }

  /** Draw the range to a cell. */
  extend(row, column) {
    if (this.row < 0) this.row = row;
    this.anchor ??= { row: this.row, column: this.column };
    this.row = Math.max(0, Math.min(this.grid.total - 1, row));
    this.column = column;
    this.grid.reveal(this.row, column);
    this.draw();
  }

  /** The range as rows and places of columns; a single cell where nothing was drawn; null without a focus. */
  get range() {
    if (this.row < 0) return null;
    return bounds(this.anchor ?? this, this, this.names);
  }

  covers(row, column) {
    const { range } = this;
    const at = this.names.indexOf(column);
    return range !== null && row >= range.firstRow && row <= range.lastRow && at >= range.firstColumn && at <= range.lastColumn;
  }

  /** Give the range up; returns whether there was one. */
  shrink() {
    const had = this.anchor !== null;
    this.anchor = null;
    this.draw();
    return had;
  }

  draw() {
    this.paint();
    const host = this.row < 0 ? undefined : this.grid.cellAt(this.row, this.column)?.host;
    if (this.marked === (host ?? null)) return;
    this.marked?.classList.remove("focus");
    this.marked?.removeAttribute("id");
    this.marked = host ?? null;
    if (!host) {
      this.grid.scroller.removeAttribute("aria-activedescendant");
      return;
    }
    host.classList.add("focus");
    host.id = "focused-cell";
    this.grid.scroller.setAttribute("aria-activedescendant", host.id);
  }

  /** Rows have been moved on the screen: the range is where its rows are. */
  paint() {
    this.painting.paint(this.anchor && this.range, this.names);
  }

  #move(rows, columns, extending) {
    if (extending && this.row >= 0) this.anchor ??= { row: this.row, column: this.column };
    if (!extending) this.anchor = null;
    const at = this.names.indexOf(this.column) + columns;
    this.column = this.names[Math.max(0, Math.min(this.names.length - 1, at))];
    this.row = Math.max(0, Math.min(this.grid.total - 1, Math.max(0, this.row) + rows));
    this.grid.reveal(this.row, this.column);
    this.draw();
  }

  #key(event) {
    if (event.target !== this.grid.scroller) return;
    const control = event.ctrlKey || event.metaKey;
    if (event.key === "ArrowUp" && !event.shiftKey && !control && this.row <= 0) this.grid.header?.focus(this.column);
    else if (this.grid.total === 0) return;
    else if (this.#branched(event, control)) this.grid.events.onToggle(this.row);
    else if (!this.#moved(event, control) && !this.#acted(event, control)) return;
    event.preventDefault();
  }

  #moved(event, control) {
    const all = this.grid.total;
    const moves = {
      ArrowDown: [control ? all : this.row < 0 ? 0 : 1, 0],
      ArrowUp: [control ? -all : -1, 0],
      ArrowLeft: [0, control ? -this.names.length : -1],
      ArrowRight: [0, control ? this.names.length : 1],
      PageDown: [this.grid.page - 2, 0],
      PageUp: [2 - this.grid.page, 0],
      Home: [control ? -all : 0, control ? 0 : -this.names.length],
      End: [control ? all : 0, control ? 0 : this.names.length],
    };
    const move = event.altKey ? undefined : moves[event.key];
    if (move) this.#move(...move, event.shiftKey);
    return Boolean(move);
  }

  #acted(event, control) {
    if (event.key === "Enter" && this.row >= 0) this.grid.open(this.row);
    else if (event.key === " " && !control && this.row >= 0) this.grid.open(this.row);
    else if (event.key === "a" && control) this.#all();
    else if (event.key === "Escape" && this.shrink()) event.stopPropagation();
    else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey) || (event.key === "ArrowDown" && event.altKey)) this.grid.askMenu();
    else return false;
    return true;
  }

  // in the column of the tree, the right arrow opens what is closed and the left one closes what is open
  #branched(event, control) {
    if (control || event.shiftKey || this.row < 0 || this.column !== this.names[0]) return false;
    const state = this.grid.groupAt(this.row)?.state;
    return (event.key === "ArrowRight" && state === CLOSED) || (event.key === "ArrowLeft" && state === OPEN);
  }

  #all() {
    this.anchor = { row: 0, column: this.names[0] };
    this.row = this.grid.total - 1;
    this.column = this.names.at(-1);
    this.draw();
  }
}
