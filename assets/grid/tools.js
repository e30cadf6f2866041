// What a person changes the view with: the line of controls, the bar, menus and panels. They change the desk's state.

import { Bar } from "./bar.js";
import { Chooser } from "./chooser.js";
import { cellItems, columnItems } from "./column_menu.js";
import { Controls } from "./controls.js";
import { Copying } from "./copying.js";
import { Exports } from "./exports.js";
import { FilterPanel } from "./filter_panel.js";
import { Help } from "./help.js";
import { HighlightsPanel } from "./highlights_panel.js";
import { moved } from "./layout.js";
import { Menu } from "./menu.js";
import * as viewState from "./state.js";
import { Views } from "./views.js";

export class Tools {
  constructor(desk) {
    this.desk = desk;
  }

  /** What the grid's head and cells ask for. */
  get events() {
    const { desk } = this;
    return {
      onSort: (sort) => this.#sort(sort),
      onTotal: (id, value) => this.#sort([[id, value < 0 ? "asc" : "desc"]]),
      onWidth: (id, width) => this.#width(id, width),
      onMove: (id, before) => desk.state.pivot || desk.laidOut(moved(desk.state.layout, desk.shown, id, before)),
      onCarry: (column, x, y, done) => this.bar.carried(column, x, y, done),
      onMenu: (column, anchor, row) => this.#menu(column, anchor, row),
    };
  }

  /** Put everything in its place; the grid is there. */
  furnish() {
    const { desk } = this;
    const { parts, state, grid } = desk;
    this.menu = new Menu("grid-menu", "Menu");
    this.help = new Help();
    this.chooser = new Chooser(parts.grid, () => state.layout.choice, (choice) => desk.laidOut({ ...state.layout, choice }));
    this.filterPanel = new FilterPanel({ values: (column, search) => this.#values(column, search), onChange: (column, conditions) => this.#filter(column, conditions) });
    this.highlightsPanel = new HighlightsPanel((rules) => this.#highlight(rules));
    this.controls = new Controls(parts.controls, state, {
      table: desk.table,
      onChange: (typing) => desk.changed({ push: !typing }),
      exportUrl: () => this.#exportUrl("csv"),
      onExports: (button) => this.menu.open(this.exports.items(), button),
      onBar: () => this.bar.toggle(),
      onHelp: () => this.help.open(),
      onTheme: () => desk.setTheme(document.documentElement.dataset.theme === "light" ? "dark" : "light"),
    });
    this.bar = new Bar(parts.bar, state, {
      table: desk.table,
      shown: () => desk.shown,
      onChange: () => desk.changed(),
      onFilter: (id, element) => this.#openFilter(desk.columns.find((each) => each.id === id), element),
      onHighlights: (element) => this.highlightsPanel.open(state.formats, desk.columns, element),
    });
    const say = (text) => this.controls.tell(text);
    this.exports = new Exports(this.controls.progress, { address: (form, id) => this.#exportUrl(form, id), progress: (id) => this.#progressUrl(id), ready: () => desk.ticket.ready(), say });
    this.views = new Views(this.controls.views, desk, say);
    this.copying = new Copying(grid, { read: (first, count) => desk.read(first, count), say });
  }

  /** The columns there are. */
  offer(columns) {
    this.controls.say("");
    this.chooser.offer(columns);
    this.bar.offer(columns);
  }

  /** Show what the state is now. */
  renew() {
    this.controls.say("");
    this.controls.renew();
    this.chooser.renew();
    this.bar.renew();
    this.views.renew();
  }

  #sort(sort) {
    const { desk } = this;
    if (viewState.sortText(sort) === viewState.sortText(desk.state.sort)) return;
    desk.state.sort = sort;
    desk.changed();
  }

  #width(id, width) {
    const { desk } = this;
    const { [id]: _, ...widths } = desk.state.layout.widths;
    desk.laidOut({ ...desk.state.layout, widths: width === null ? widths : { ...widths, [id]: width } }, { push: false, asks: width === null });
  }

  #filter(column, conditions) {
    const { desk } = this;
    desk.state.where = [...desk.state.where.filter((each) => each.column !== column.id), ...conditions];
    desk.changed();
  }

  #without(column, value) {
    const own = this.desk.state.where.filter((each) => each.column === column.id);
    const before = own.find(({ op }) => op === "not_in")?.value ?? [];
    this.#filter(column, [...own.filter(({ op }) => op !== "not_in"), { column: column.id, op: "not_in", value: [...before, value] }]);
  }

  #openFilter(column, anchor) {
    this.filterPanel.open(column, this.desk.state.where.filter((each) => each.column === column.id), anchor);
  }

  async #values(column, search) {
    const { desk } = this;
    return desk.requests.ask({ t: "values", table: desk.config.table, column: column.id, filter: viewState.filter(desk.state, column.id), search, limit: 200 });
  }

  #highlight(rules) {
    const { desk } = this;
    desk.state.formats = rules.map((rule) => ({ ...rule }));
    desk.keep();
    desk.grid.highlight(desk.state.pivot ? [] : rules, desk.columns);
  }

  #menu(column, anchor, row) {
    const { desk } = this;
    const { grid, state } = desk;
    const { bar } = this;
    const title = grid.header.heads.get(column.id);
    const act = {
      copy: (titled) => this.copying.copy(titled),
      filter: (of, conditions) => this.#filter(of, conditions),
      without: (of, value) => this.#without(of, value),
      filterPanel: (of) => this.#openFilter(of, title),
      highlights: (of) => this.highlightsPanel.open(state.formats, desk.columns, title, of.id),
      sort: (sort) => this.#sort(sort),
      layout: (layout) => desk.laidOut(layout),
      group: (id) => bar.group(id),
      pivot: (id) => bar.pivot(id),
      ungroup: () => bar.clear(),
      depth: (depth) => bar.deepen(depth),
      hide: (of) => this.#hide(of),
    };
    const own = columnItems(column, { state, shown: desk.shown, header: grid.header }, act);
    const items = row === undefined ? own : [...cellItems(grid, column, row, act), { heading: [column.group, column.header].filter(Boolean).join(" ") }, ...own];
    this.menu.open(items, anchor);
  }

  #hide(column) {
    const { desk } = this;
    const { [column.id]: _, ...choice } = desk.state.layout.choice;
    desk.laidOut({ ...desk.state.layout, choice: column.shown ? { ...choice, [column.id]: false } : choice });
  }

  #exportUrl(form, id = "") {
    const { desk } = this;
    const { state, table } = desk;
    const { first, last } = table.exported;
    const shown = desk.shown.map((each) => each.id).filter((each) => ![...first, ...last].includes(each));
    const columns = state.pivot ? desk.asked?.slice(state.groups.length) ?? [] : [...first, ...shown, ...last];
    const plain = { text: state.text, markets: state.markets.join(","), temperatures: state.temperatures.join(","), changed_today: state.changedToday ? "1" : "0" };
    const query = new URLSearchParams({
      ticket: desk.ticket.text,
      columns: columns.join(","),
      ...(state.where.length ? { filter: JSON.stringify(viewState.filter(state)) } : plain),
      sort: viewState.sortText(state.sort),
    });
    if (desk.grouped) query.set("groups", state.groups.join(","));
    if (state.pivot) query.set("pivot", state.pivot);
    if (id) query.set("id", id);
    return `${desk.base("http")}/export/${desk.config.table}.${form}?${query}`;
  }

  #progressUrl(id) {
    return `${this.desk.base("http")}/export/progress?${new URLSearchParams({ ticket: this.desk.ticket.text, id })}`;
  }
}
