// A live table: a tall empty space that scrolls, and as many rows as fit, moved and written as the view asks.
// AG Grid stood in this place and was measured on two shared cores, 750 cells changing at 20 Hz: frame to cell p50 39 ms,
// p99 128 ms, while scrolling p95 117-183 ms from picture to picture; this took 7, 84 and 50-67, and loads 0.7 MB less.

import { Flasher } from "./flash.js";
import { Focus } from "./focus.js";
import { Header } from "./header.js";
import { LiveRow } from "./row.js";
import { RowWindow } from "./rows.js";
import { make } from "./dom.js";

export const ROW_HEIGHT = 22;
const HEAD_HEIGHT = 40;
const SPARE_ROWS = 6;
const MARGIN_ROWS = 24;
/** Beside the last column, below the button that chooses columns. */
const END_WIDTH = 22;

export class LiveGrid {
  /** Events: onWindow(first, count), onSort([[column, "asc"|"desc"]]), onOpen(code). It is empty until `arrange`. */
  constructor(element, events) {
    this.columns = [];
    this.names = [];
    this.events = events;
    this.window = RowWindow.empty();
    this.rows = [];
    this.flasher = new Flasher();
    this.selected = "";
    this.pressed = undefined;
    this.hovered = undefined;
    this.wanted = { first: 0, count: 0 };
    this.header = null;
    this.pinned = make("div", { class: "pinned", role: "rowgroup" });
    this.space = make("div", { class: "space", role: "rowgroup" }, this.pinned);
    this.scroller = make("div", { class: "scroll", tabindex: 0, role: "grid", "aria-label": "Inventory", "aria-multiselectable": "false" }, this.space);
    this.focus = new Focus(this);
    element.append(this.scroller);
    this.scroller.addEventListener("scroll", () => this.#draw(), { passive: true });
    this.space.addEventListener("pointerdown", (event) => this.#pressed(event));
    this.space.addEventListener("click", () => this.#clicked());
    this.space.addEventListener("pointerover", (event) => this.#hover(this.#under(event)));
    this.space.addEventListener("pointerleave", () => this.#hover(undefined));
    new ResizeObserver(() => this.#resize()).observe(this.scroller);
    setInterval(() => this.#ages(), 1000);
  }

  /** Show these columns (as in columns.js), and ask for those in `names`: what is known of the rows stays until a window comes. */
  arrange(columns, names, sort) {
    this.columns = columns;
    this.names = names;
    this.floors = columns.filter((column) => column.floor).map((column) => column.id);
    this.ageing = columns.filter((column) => column.age).map((column) => column.id);
    this.header?.style.remove();
    this.header?.host.remove();
    this.header = new Header(columns, sort, { onSort: (next) => this.events.onSort(next), onWidth: () => this.#widen() });
    this.scroller.before(this.header.style);
    this.space.before(this.header.host);
    this.focus.arrange(columns.map((column) => column.id));
    for (const row of this.rows) {
      row.host.remove();
      row.pinned.remove();
    }
    this.rows = [];
    this.pressed = this.hovered = undefined;
    this.#resize();
  }

  /** Rows that fit on the screen. */
  get page() {
    return Math.max(1, Math.ceil((this.scroller.clientHeight - HEAD_HEIGHT) / ROW_HEIGHT));
  }

  get total() {
    return this.window.total;
  }

  /** Another view: what is shown stays until its first window comes. */
  restart() {
    this.scroller.scrollTop = 0;
    this.wanted = { first: 0, count: this.page + MARGIN_ROWS };
  }

  /** The same view again, where it was: after a new connection. */
  resume() {
    if (this.wanted.count === 0) this.restart();
  }

  select(code) {
    this.selected = code;
    for (const row of this.rows) this.#paintRow(row);
  }

  /** The security's code in a row of the view; "" when the row is not known yet. */
  codeAt(number) {
    const at = this.window.at(number);
    return at < 0 ? "" : this.window.value("code", at);
  }

  /** The cell on screen of a row of the view, if there is one. */
  cellAt(number, column) {
    return this.#rowOf(number)?.cells.get(column);
  }

  open(number) {
    const code = this.codeAt(number);
    if (code) this.events.onOpen(code);
  }

  /** Bring a row and a column into sight. */
  reveal(number, column) {
    const top = number * ROW_HEIGHT;
    const height = this.scroller.clientHeight - HEAD_HEIGHT;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + ROW_HEIGHT > this.scroller.scrollTop + height) this.scroller.scrollTop = top + ROW_HEIGHT - height;
    const { left, width } = this.header.span(column);
    const pinned = this.header.widths.get(this.columns[0].id);
    if (left + width > this.scroller.scrollLeft + this.scroller.clientWidth) {
      this.scroller.scrollLeft = left + width - this.scroller.clientWidth;
    } else if (left > 0 && left - pinned < this.scroller.scrollLeft) this.scroller.scrollLeft = left - pinned;
    this.#draw();
  }

  /** A frame of kind 1: the whole window anew. */
  show(frame) {
    const before = this.window;
    const known = before.positions();
    this.window = new RowWindow(frame, this.names);
    if (before.total !== frame.total) this.#resizeSpace();
    for (const row of this.rows) {
      const at = this.window.at(row.number);
      const was = at < 0 ? undefined : known.get(this.window.ids[at]);
      this.#paintRow(row);
      if (was === undefined) continue;
      for (const cell of row.cells.values()) {
        if (!cell.column.compare) continue;
        this.#flash(cell, before.value(cell.column.id, was), this.window.value(cell.column.id, at));
      }
    }
    this.#look();
  }

  /** A frame of kind 2: cells of the window that changed. */
  change(frame) {
    if (frame.first !== this.window.first) return;
    for (let k = 0; k < frame.n; k += 1) {
      const at = frame.rows[k];
      const name = this.names[frame.cells[k]];
      const column = this.window.columns.get(name);
      const before = column[at];
      column[at] = frame.values[k];
      const row = this.#rowOf(this.window.first + at);
      if (row === undefined) continue;
      if (name === "at_least") for (const floor of this.floors) this.#paint(row.cells.get(floor), at);
      const cell = row.cells.get(name);
      if (cell === undefined) continue;
      this.#paint(cell, at);
      if (cell.column.compare) this.#flash(cell, before, frame.values[k]);
    }
  }

  #rowOf(number) {
    const row = this.rows[number % this.rows.length];
    return row?.number === number ? row : undefined;
  }

  #flash(cell, before, after) {
    if (before === after || before === undefined || Number.isNaN(after)) return;
    this.flasher.flash(cell.host, !(after < before));
  }

  #paintRow(row) {
    if (row.number < 0) return;
    const at = this.window.at(row.number);
    for (const cell of row.cells.values()) this.#paint(cell, at);
    row.select(at >= 0 && this.selected !== "" && this.window.value("code", at) === this.selected);
  }

  #paint(cell, at) {
    if (at < 0) {
      this.flasher.forget(cell.host);
      cell.clear();
      return;
    }
    const { id, kind, age, floor } = cell.column;
    const value = this.window.value(id, at);
    if (value === undefined) {
      cell.clear();
      return;
    }
    if (cell.identify(this.window.ids[at])) this.flasher.forget(cell.host);
    if (kind === "text") cell.text(value);
    else if (age) cell.number(Date.now() - value, false);
    else cell.number(value, floor && this.window.value("at_least", at) === 1);
  }

  #ages() {
    for (const row of this.rows) {
      const at = this.window.at(row.number);
      if (at >= 0) for (const name of this.ageing) this.#paint(row.cells.get(name), at);
    }
  }

  #widen() {
    const width = `${this.header.width() + END_WIDTH}px`;
    this.space.style.width = width;
    this.header.host.style.width = width;
    this.pinned.style.width = `${this.header.widths.get(this.columns[0].id)}px`;
  }

  #resizeSpace() {
    this.space.style.height = `${this.total * ROW_HEIGHT}px`;
    this.scroller.setAttribute("aria-rowcount", this.total + 1);
    this.#draw();
  }

  // an even number of rows keeps every row's parity
  #resize() {
    if (this.header === null) return;
    this.header.fit(this.scroller.clientWidth - END_WIDTH);
    this.#widen();
    const wanted = this.page + 2 * SPARE_ROWS + (this.page % 2);
    if (wanted <= this.rows.length) {
      this.#draw();
      return;
    }
    const more = Array.from({ length: wanted - this.rows.length }, () => new LiveRow(this.columns, ROW_HEIGHT));
    this.rows.push(...more);
    for (const row of this.rows) row.place(-1);
    this.space.append(...more.map((row) => row.host));
    this.pinned.append(...more.map((row) => row.pinned));
    this.#draw();
  }

  /** Put a row wherever the screen needs one; a row that stays is not touched. */
  #draw() {
    if (this.rows.length === 0) return;
    const top = Math.floor(this.scroller.scrollTop / ROW_HEIGHT);
    const first = Math.max(0, Math.min(top - SPARE_ROWS, this.total - this.rows.length));
    const last = Math.min(this.total, first + this.rows.length);
    for (let number = first; number < first + this.rows.length; number += 1) {
      const row = this.rows[number % this.rows.length];
      const wanted = number < last ? number : -1;
      if (row.number === wanted) continue;
      row.place(wanted);
      this.#paintRow(row);
    }
    this.focus.draw();
    this.#look();
  }

  /** Ask for a window when the screen has left the one that was asked for. */
  #look() {
    if (this.total === 0) return;
    const first = Math.min(Math.floor(this.scroller.scrollTop / ROW_HEIGHT), this.total - 1);
    const last = Math.min(first + this.page + 1, this.total);
    const { wanted } = this;
    if (first >= wanted.first && last <= wanted.first + wanted.count) return;
    const from = Math.max(0, first - MARGIN_ROWS);
    this.wanted = { first: from, count: last + MARGIN_ROWS - from };
    this.events.onWindow(this.wanted.first, this.wanted.count);
  }

  // rows change places while a finger is on its way up: what was under it when it went down is what is meant
  #pressed(event) {
    const row = this.#under(event);
    const column = event.target.closest(".cell")?.dataset.column ?? this.focus.column;
    this.pressed = row && { row: row.number, column, code: this.codeAt(row.number) };
  }

  #under(event) {
    const half = event.target.closest(".row");
    return half && this.rows.find((row) => row.host === half || row.pinned === half);
  }

  #hover(row) {
    if (row === this.hovered) return;
    this.hovered?.hover(false);
    row?.hover(true);
    this.hovered = row;
  }

  #clicked() {
    if (!this.pressed?.code || window.getSelection().type === "Range") return;
    this.focus.set(this.pressed.row, this.pressed.column);
    this.events.onOpen(this.pressed.code);
  }
}
