// A live table: a tall empty space that scrolls, and as many rows as fit, moved and written as the view asks.
// AG Grid stood in this place and was measured on two shared cores, 750 cells changing at 20 Hz: frame to cell p50 39 ms,
// p99 128 ms, while scrolling p95 117-183 ms from picture to picture; this took 7, 84 and 50-67, and loads 0.7 MB less.

import { Flasher } from "./flash.js";
import { Focus } from "./focus.js";
import { Header } from "./header.js";
import { Highlights } from "./highlights.js";
import { Pointer } from "./pointer.js";
import { LiveRow } from "./row.js";
import { DATA, RowWindow } from "./rows.js";
import { Runway } from "./runway.js";
import { Totals } from "./totals.js";
import { make } from "./dom.js";

export const ROW_HEIGHT = 22;
const HEAD_HEIGHT = 40;
const SPARE_ROWS = 6;
const MARGIN_ROWS = 24;
const REST_MS = 160;
/** Beside the last column, below the button that chooses columns. */
const END_WIDTH = 22;

export class LiveGrid {
  /**
   * `table`: as in tables.js. Events: onWindow(first, count), onOpen({code, id, column}), onToggle(row number), onRest();
   * those of a header; onMenu(column, element, row number); onSay(text). It is empty until `arrange`.
   */
  constructor(element, table, events) {
    this.table = table;
    this.columns = [];
    this.names = [];
    this.events = events;
    this.window = RowWindow.empty();
    this.rows = [];
    this.flasher = new Flasher();
    this.highlights = new Highlights([], []);
    this.selected = { code: "", id: 0 };
    this.begin = null;
    this.wanted = { first: 0, count: 0 };
    this.header = null;
    this.laid = "";
    this.pinned = make("div", { class: "pinned", role: "rowgroup" });
    this.body = make("div", { class: "body", role: "rowgroup" });
    this.space = make("div", { class: "space", role: "none" }, this.pinned, this.body);
    this.totals = new Totals((id, value) => this.events.onTotal(id, value));
    this.scroller = make("div", { class: "scroll", tabindex: 0, role: "grid", "aria-label": table.title, "aria-multiselectable": "true" }, this.space, this.totals.host);
    this.runway = new Runway(this.scroller, this.space, ROW_HEIGHT);
    this.focus = new Focus(this);
    element.append(this.scroller);
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.pointer = new Pointer(this);
    new ResizeObserver(() => this.#resize()).observe(this.scroller);
    setInterval(() => this.#ages(), 1000);
  }

  /** Show these columns (as in columns.js), and ask for those in `names`: what is known of the rows stays until a window comes. */
  arrange(columns, names, { sort, widths, filtered, tree }) {
    const laid = JSON.stringify([columns.map(({ id, pinned, header, group, style }) => [id, pinned, header, group, style]), names, widths, tree]);
    if (laid === this.laid) {
      this.header.mark(sort, filtered);
      return;
    }
    this.laid = laid;
    this.columns = columns;
    this.names = names;
    const titled = this.header?.host.contains(document.activeElement) ? document.activeElement.closest("[data-head]")?.dataset.head : "";
    this.floors = columns.filter((column) => column.floor).map((column) => column.id);
    this.ageing = columns.filter((column) => column.age).map((column) => column.id);
    this.header?.style.remove();
    this.header?.host.remove();
    this.header = new Header(columns, { sort, widths, filtered }, {
      ...this.events,
      onWiden: () => this.#widen(),
      onDown: (id) => this.focus.enter(id),
    });
    this.scroller.before(this.header.style);
    this.space.before(this.header.host);
    this.scroller.setAttribute("role", tree ? "treegrid" : "grid");
    this.scroller.setAttribute("aria-colcount", columns.length);
    this.totals.arrange(columns, names);
    this.focus.arrange(columns.map((column) => column.id));
    for (const row of this.rows) for (const half of row.halves) half.remove();
    this.rows = [];
    this.pointer.forget();
    this.#resize();
    if (titled) this.header.focus(titled);
  }

  /** Other rules of highlighting. */
  highlight(rules, columns) {
    this.highlights = new Highlights(rules, columns);
    this.#measure();
    for (const row of this.rows) this.#paintRow(row);
  }

  /** Rows that fit on the screen. */
  get page() {
    return Math.max(1, Math.ceil(this.#viewHeight / ROW_HEIGHT));
  }

  get total() {
    return this.window.total;
  }

  /** The row at the top of the screen. */
  get top() {
    return Math.floor(this.runway.top / ROW_HEIGHT);
  }

  get #viewHeight() {
    return this.scroller.clientHeight - HEAD_HEIGHT - this.totals.height;
  }

  /** How far it is scrolled, in pixels. */
  get place() {
    return { top: this.begin?.top ?? this.runway.top, left: this.begin?.left ?? this.scroller.scrollLeft };
  }

  /** Another view: what is shown stays until its first window comes. `place`: where to begin. */
  restart(place = { top: 0, left: this.scroller.scrollLeft }) {
    const first = Math.max(0, Math.floor(place.top / ROW_HEIGHT) - MARGIN_ROWS);
    this.begin = place.top || place.left ? place : null;
    if (!this.begin) this.runway.go(0);
    this.wanted = { first, count: this.page + (first ? 2 : 1) * MARGIN_ROWS };
    this.focus.clear();
  }

  /** The same view again, where it was: after a new connection, or a reload. */
  resume(place) {
    if (this.wanted.count === 0) this.restart(place);
  }

  /** Mark the rows of a security, or one row only. */
  select(code, id = 0) {
    this.selected = { code, id };
    for (const row of this.rows) this.#paintRow(row);
  }

  /** The security's code in a row of the view; "" when the row is not known yet, or a group. */
  codeAt(number) {
    const at = this.window.at(number);
    return at < 0 || this.#isGroup(at) ? "" : this.window.value(this.table.key, at);
  }

  idAt(number) {
    const at = this.window.at(number);
    return at < 0 ? 0 : this.window.ids[at];
  }

  /** What a row of a tree stands for; null in a flat view, and where it is not known. */
  groupAt(number) {
    const at = this.window.at(number);
    return at < 0 ? null : this.window.group(at);
  }

  valueAt(number, column) {
    const at = this.window.at(number);
    return at < 0 ? undefined : this.window.value(column, at);
  }

  /** The cell on screen of a row of the view, if there is one. */
  cellAt(number, column) {
    return this.rowOf(number)?.cells.get(column);
  }

  /** Open a data row's security, or a group. */
  open(number) {
    const group = this.groupAt(number);
    if (group && group.state !== DATA) this.events.onToggle(number);
    else if (this.codeAt(number)) this.events.onOpen({ code: this.codeAt(number), id: this.idAt(number), column: this.focus.column });
  }

  /** Ask for the menu of the focused cell; at a point, or beside the cell. */
  askMenu(point) {
    const { row, column } = this.focus;
    const cell = this.cellAt(row, column)?.host;
    const of = this.columns.find(({ id }) => id === column);
    if (of && (point || cell)) this.events.onMenu(of, point ?? cell, row);
  }

  /** Bring a row and a column into sight. */
  reveal(number, column) {
    const top = number * ROW_HEIGHT;
    const height = this.#viewHeight;
    if (top < this.runway.top) this.runway.go(top);
    else if (top + ROW_HEIGHT > this.runway.top + height) this.runway.go(top + ROW_HEIGHT - height);
    const { left, width } = this.header.span(column);
    const pinned = this.header.pinnedWidth();
    if (left >= pinned && left + width > this.scroller.scrollLeft + this.scroller.clientWidth) {
      this.scroller.scrollLeft = left + width - this.scroller.clientWidth;
    } else if (left >= pinned && left - pinned < this.scroller.scrollLeft) this.scroller.scrollLeft = left - pinned;
    this.#place();
    this.#draw();
  }

  /** A frame of kind 1 or 3: the whole window anew. */
  show(frame) {
    const before = this.window;
    const known = before.positions();
    this.window = new RowWindow(frame, this.names);
    if (before.total !== frame.total) this.#resizeSpace();
    this.#begin();
    this.#measure();
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
    this.focus.paint();
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
      const row = this.rowOf(this.window.first + at);
      if (row === undefined) continue;
      if (name === "at_least") for (const floor of this.floors) this.#paint(row.cells.get(floor), at);
      const cell = row.cells.get(name);
      if (cell === undefined) continue;
      this.#paint(cell, at);
      if (cell.column.compare) this.#flash(cell, before, frame.values[k]);
    }
  }

  /** A frame of kind 4: sums of everything that passes the filter; null: none are wanted. */
  sum(values) {
    const { height } = this.totals;
    this.totals.show(values);
    if (height !== this.totals.height) this.#resize();
  }

  /** The row on screen that stands for row `number` of the view. */
  rowOf(number) {
    const row = this.rows[number % this.rows.length];
    return row?.number === number ? row : undefined;
  }

  #isGroup(at) {
    const { tree } = this.window;
    return tree !== null && tree.state[at] !== DATA;
  }

  #measure() {
    for (const name of this.highlights.scaled) {
      const values = this.window.columns.get(name);
      if (values) this.highlights.measure(name, values, (at) => this.#isGroup(at));
    }
  }

  #flash(cell, before, after) {
    if (before === after || before === undefined || Number.isNaN(after)) return;
    this.flasher.flash(cell.host, !(after < before));
  }

  #paintRow(row) {
    if (row.number < 0) return;
    const at = this.window.at(row.number);
    row.stand(at < 0 ? null : this.window.group(at));
    for (const cell of row.cells.values()) this.#paint(cell, at);
    const { code, id } = this.selected;
    const chosen = at >= 0 && code !== "" && !this.#isGroup(at) && this.window.value(this.table.key, at) === code;
    row.select(chosen && (id === 0 || this.window.ids[at] === id));
  }

  #paint(cell, at) {
    if (at < 0) {
      this.flasher.forget(cell.host);
      cell.clear();
      return;
    }
    const { id, kind, age, floor } = cell.column;
    const group = cell.column.tree ? this.window.group(at) : null;
    const value = this.window.value(id, at);
    if (value === undefined && !group) {
      cell.clear();
      return;
    }
    if (cell.identify(this.window.ids[at])) this.flasher.forget(cell.host);
    if (group) cell.branch(group);
    else if (this.#isGroup(at) && (value === "" || Number.isNaN(value))) cell.blank();
    else if (kind === "text") cell.text(value);
    else if (age) cell.number(Date.now() - value, false);
    else cell.number(value, floor && this.window.value("at_least", at) === 1);
    if (this.highlights.rules.has(id)) this.#dress(cell, at, value);
    else cell.dress("");
  }

  // sums of groups are of another size than what the rule was made for
  #dress(cell, at, value) {
    const judged = this.#isGroup(at) ? null : this.highlights.judge(cell.column.id, value);
    cell.dress(judged?.look ?? "", judged?.share);
  }

  #ages() {
    for (const row of this.rows) {
      const at = this.window.at(row.number);
      if (at >= 0) for (const name of this.ageing) this.#paint(row.cells.get(name), at);
    }
  }

  #widen() {
    const width = `${this.header.width() + END_WIDTH}px`;
    for (const part of [this.space, this.header.host, this.totals.host]) part.style.width = width;
    for (const part of [this.pinned, this.header.pinnedPane, this.totals.pinned]) part.style.width = `${this.header.pinnedWidth()}px`;
  }

  // the first window of a view that does not begin at its top
  #begin() {
    if (!this.begin) return;
    this.runway.go(this.begin.top);
    this.scroller.scrollLeft = this.begin.left;
    this.begin = null;
    this.#place();
    this.#draw();
  }

  #resizeSpace() {
    this.scroller.setAttribute("aria-rowcount", this.total + 1);
    this.runway.resize(this.total, this.#viewHeight);
    this.#place();
    this.#draw();
  }

  // an even number of rows keeps every row's parity
  #resize() {
    if (this.header === null) return;
    this.header.fit(this.scroller.clientWidth - END_WIDTH);
    this.#widen();
    this.runway.resize(this.total, this.#viewHeight);
    const wanted = this.page + 2 * SPARE_ROWS + (this.page % 2);
    if (wanted > this.rows.length) {
      const more = Array.from({ length: wanted - this.rows.length }, () => new LiveRow(this.columns));
      this.rows.push(...more);
      for (const row of this.rows) row.place(-1, 0);
      this.body.append(...more.map((row) => row.host));
      this.pinned.append(...more.map((row) => row.pinned));
    }
    this.#place();
    this.#draw();
  }

  #scrolled() {
    if (this.runway.scrolled()) this.#place();
    this.#draw();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (this.runway.rested()) this.#place();
      this.#draw();
      this.events.onRest();
    }, REST_MS);
  }

  /** The space has moved under the rows that stay. */
  #place() {
    for (const row of this.rows) if (row.number >= 0) row.move(this.runway.y(row.number));
  }

  /** Put a row wherever the screen needs one; a row that stays is not touched. */
  #draw() {
    if (this.rows.length === 0) return;
    const first = Math.max(0, Math.min(this.top - SPARE_ROWS, this.total - this.rows.length));
    const last = Math.min(this.total, first + this.rows.length);
    for (let number = first; number < first + this.rows.length; number += 1) {
      const row = this.rows[number % this.rows.length];
      const wanted = number < last ? number : -1;
      if (row.number === wanted) continue;
      row.place(wanted, this.runway.y(wanted));
      this.#paintRow(row);
    }
    this.focus.draw();
    this.#look();
  }

  /** Ask for a window when the screen has left the one that was asked for. */
  #look() {
    if (this.total === 0) return;
    const first = Math.max(0, Math.min(this.top, this.total - 1));
    const last = Math.min(first + this.page + 1, this.total);
    const { wanted } = this;
    if (first >= wanted.first && last <= wanted.first + wanted.count) return;
    const from = Math.max(0, first - MARGIN_ROWS);
    this.wanted = { first: from, count: last + MARGIN_ROWS - from };
    this.events.onWindow(this.wanted.first, this.wanted.count);
  }
}
