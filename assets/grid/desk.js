// One page's table: its socket, its view, and what stands around the grid.

import { column, treeColumn } from "./columns.js";
import { DrillLink } from "./drill_link.js";
import { placeOf, samePlace } from "./drill.js";
import { CHANGES, decode, TOTALS, viewOf } from "./frames.js";
import * as layouts from "./layout.js";
import { LiveGrid } from "./live_grid.js";
import { measures } from "./measures.js";
import { keepPossible } from "./possible.js";
import { reloadWhenServed, Ticket } from "./pages.js";
import { readRows } from "./reader.js";
import { Requests } from "./requests.js";
import { GridSocket } from "./socket.js";
import { judge, StatusChip, whyEmpty } from "./status.js";
import { Strip } from "./strip.js";
import * as viewState from "./state.js";
import { TABLES } from "./tables.js";
import { Tools } from "./tools.js";
import { pathOf, toggled } from "./tree.js";
import { picked } from "../page/picked.js";

/** A page that loses its session sooner would only go round in circles. */
const RELOAD_AFTER_MS = 5000;

export class Desk {
  /** `config`: {table, ticket, gateway_port, opens: whether rows have a drill-down}; `parts`: elements grid, controls, bar, strip, status, message. */
  constructor(config, parts) {
    this.config = config;
    this.table = TABLES[config.table];
    this.parts = parts;
    /** The columns there are, those asked for (with their kinds), those of a pivot. */
    this.columns = [];
    this.names = [];
    this.kinds = [];
    this.shape = this.generation = this.stats = this.total = this.matching = null;
    this.told = this.refused = "";
    this.view = 0;
    this.everConnected = false;
    /** Whether the address says nothing: the page opens with the view that a person has chosen for it. */
    this.bare = window.location.search === "";
    this.#readState();
    // a link brings its own columns; without any, they are as this browser was left
    if (this.own && layouts.isNone(this.state.layout)) this.state.layout = layouts.kept(config.table);
    this.ticket = new Ticket(config.ticket, (ticket) => this.socket.send({ t: "ticket", ticket }));
    this.socket = new GridSocket((attempts) => this.#address(attempts), {
      onOpen: () => this.#opened(),
      onClose: () => this.#closed(),
      onText: (message) => this.#heard(message),
      onFrame: (buffer) => this.#frame(buffer),
    });
    this.requests = new Requests((message) => this.socket.send(message));
    this.socket.open();
    this.#furnish();
  }

  #readState() {
    const read = viewState.read();
    this.state = Object.assign(this.state ?? {}, read);
    this.own = window.history.state?.own ?? (layouts.isNone(read.layout) && (!read.view || read.view === viewState.PLAIN));
  }

  #furnish() {
    const { parts, state } = this;
    this.drill = new DrillLink(state, { onMoved: (step) => this.#write(step), onSelected: (code) => this.select(code) });
    this.tools = new Tools(this);
    this.grid = new LiveGrid(parts.grid, this.table, {
      onWindow: (first, count) => this.socket.send({ t: "window", v: this.view, first, count }),
      onOpen: ({ code, id, column: of }) => this.select(code, id, of),
      onToggle: (row) => this.#toggle(row),
      onRest: () => this.#write(),
      ...this.tools.events,
    });
    this.tools.furnish();
    this.strip = new Strip(parts.strip);
    this.chip = new StatusChip(parts.status, document.title);
    this.grid.select(state.selected, state.row);
    this.drill.show();
    if (this.config.opens) picked(state.selected);
    setInterval(() => this.#judge(), 250);
    this.#judge();
    document.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && this.#escape(event));
    document.addEventListener("ims-open", (event) => {
      event.preventDefault();
      this.select(event.detail.code);
    });
    window.addEventListener("popstate", () => this.#restore());
    window.addEventListener("pagehide", () => this.#write());
  }

  /** Show the drill-down of a security, at a row where the table has rows of its own, at the number of a column; "" closes it. */
  select(code, id = 0, of = "") {
    if (!this.config.opens) return;
    const { state } = this;
    const row = code && this.config.table !== "inventory" ? id : 0;
    const here = code === state.selected ? state.place : { ...state.place, day: "", of: "", line: "" };
    const place = placeOf(this.columns.find((each) => each.id === of), here);
    if (code === state.selected && row === state.row && samePlace(place, state.place)) return;
    Object.assign(state, { selected: code, row, place });
    this.#write(true);
    this.grid.select(code, row);
    this.drill.show();
    picked(code);
  }

  setTheme(name) {
    this.state.theme = name;
    document.documentElement.dataset.theme = name;
    localStorage.setItem("ims-theme", name);
    this.#write();
    this.drill.theme(name);
  }

  /** The Panel component that makes the drill-down; null without one. */
  get model() {
    return this.drill.model;
  }

  /** Tie the desk to its Panel component. */
  attach(model) {
    this.drill.attach(model);
  }

  /** The session is gone, and with it the drill-down: load the page anew, unless it has hardly begun. */
  detach() {
    this.drill.model = null;
    if (performance.now() > RELOAD_AFTER_MS) this.#reload();
  }

  #reload() {
    this.#write();
    reloadWhenServed();
  }

  #escape(event) {
    const { search } = this.tools.controls;
    if (event.target === search && search.value) return;
    this.select("");
  }

  base(scheme) {
    const secure = window.location.protocol === "https:" ? "s" : "";
    return `${scheme}${secure}://${window.location.hostname}:${this.config.gateway_port}`;
  }

  get #socketAddress() {
    return `${this.base("ws")}/ws/grid?ticket=${encodeURIComponent(this.ticket.text)}`;
  }

  async #address(attempts) {
    // a refusal cannot be told from a dead server, so a page that is refused for long renews its ticket
    if (attempts >= 3) await this.ticket.renew();
    else await this.ticket.ready();
    return this.#socketAddress;
  }

  #opened() {
    this.everConnected = true;
    this.grid.resume(window.history.state?.place);
    if (this.names.length) this.ask();
    this.#judge();
  }

  #closed() {
    this.requests.fail("the connection was lost");
    this.#judge();
  }

  /** The table's own columns as they are arranged now. */
  get shown() {
    return layouts.arranged(this.columns, this.state.layout);
  }

  get grouped() {
    return this.state.groups.length > 0;
  }

  /** Whether the sums at the bottom are shown. */
  get totals() {
    return this.state.totals ?? this.table.totals;
  }

  /** Lay the grid out for the columns that are chosen of those there are. */
  arrange() {
    const { state } = this;
    const title = (id) => this.columns.find((each) => each.id === id)?.header ?? id;
    const tree = this.grouped ? [treeColumn(state.groups.map(title).join(" › "))] : [];
    const kinds = new Map(this.columns.map(({ id, kind }) => [id, kind]));
    let { shown } = this;
    if (state.pivot) {
      this.asked = [...state.groups, ...measures(shown, state.measure)];
      const shape = this.shape ?? [];
      shown = shape.filter(({ kind }) => kind === "number");
      this.names = shape.map(({ id }) => id);
      this.kinds = shape.map(({ kind }) => kind);
    } else {
      this.asked = this.names = [...new Set([...shown.map(({ id }) => id), ...state.groups, ...this.table.always])];
      this.kinds = this.names.map((name) => kinds.get(name));
    }
    const laid = [...tree, ...shown];
    if (laid.length === 0) return;
    this.grid.arrange(laid, this.names, { sort: state.sort, widths: { ...state.layout.widths }, filtered: new Set(state.where.map((each) => each.column)), tree: this.grouped });
    this.grid.highlight(state.pivot ? [] : state.formats, this.columns);
  }

  #message(first) {
    const { state } = this;
    return {
      t: "view", v: this.view, table: this.config.table, columns: this.asked, filter: viewState.filter(state), sort: state.sort,
      ...(this.grouped ? { groups: state.groups, depth: state.depth, toggled: state.toggled } : {}),
      ...(state.pivot ? { pivot: state.pivot } : {}),
      // of a tree, how many rows match is known from its sums only
      ...(this.totals || this.grouped ? { totals: true } : {}),
      ...first,
    };
  }

  /** Name the view anew; frames of the former one are dropped from now on. */
  ask() {
    this.view = (this.view + 1) % 65536;
    this.refused = "";
    this.shape = null;
    this.matching = null;
    this.parts.grid.dataset.view = "asked";
    if (!this.totals) this.grid.sum(null);
    this.socket.send(this.#message(this.grid.wanted));
  }

  /** Something of the view has changed: show it. `push`: a step that the browser's back undoes. */
  changed({ push = true } = {}) {
    this.#write(push);
    this.tools.renew();
    if (this.columns.length === 0) return;
    keepPossible(this.state, this.columns, this.table);
    this.grid.restart();
    this.arrange();
    this.ask();
  }

  /** Other columns, or the same ones elsewhere: the rows stay where they are. */
  laidOut(layout, { push = true, asks = true } = {}) {
    this.state.layout = layout;
    if (this.own) layouts.keep(this.config.table, layout);
    this.#write(push);
    this.tools.renew();
    if (!asks) return;
    this.arrange();
    this.ask();
  }

  /** A person looks at another view: that of a name, or of a link. `query`: as `viewState.viewQuery` makes it. */
  open(query, view, { push = true } = {}) {
    const { selected, row, theme } = this.state;
    // what is arranged in a view stays there; as the desk shows it, a person begins anew
    this.own = query === "" || (this.own && !view);
    Object.assign(this.state, viewState.read(query), { selected, row, theme, view });
    this.changed({ push });
  }

  /** Put the state into the address. */
  keep() {
    this.#write();
    this.tools.renew();
  }

  // the browser's back and forward
  #restore() {
    const before = this.state.selected;
    this.#readState();
    if (this.config.opens && this.state.selected !== before) picked(this.state.selected);
    if (this.own) layouts.keep(this.config.table, this.state.layout);
    this.tools.renew();
    this.grid.select(this.state.selected, this.state.row);
    this.drill.show();
    if (this.state.theme) document.documentElement.dataset.theme = this.state.theme;
    if (this.columns.length === 0) return;
    keepPossible(this.state, this.columns, this.table);
    this.grid.restart(window.history.state?.place);
    this.arrange();
    this.ask();
  }

  #write(push = false) {
    viewState.write(this.state, { push, own: this.own, place: push ? undefined : this.grid?.place });
  }

  #toggle(row) {
    const { state, grid } = this;
    const group = grid.groupAt(row);
    state.toggled = toggled(state.toggled, pathOf(state.groups, group.level, (name) => grid.valueAt(row, name)));
    this.#write();
    this.tools.bar.renew();
    this.socket.send({ t: "window", v: this.view, ...grid.wanted, depth: state.depth, toggled: state.toggled });
  }

  /** Rows that are not on screen, of the view as it is. Rejects when they do not come. */
  read(first, count) {
    return readRows(this.#socketAddress, { ...this.#message(), v: this.view }, this.names, this.kinds, first, count);
  }

  #heard(message) {
    if (message.t === "hello") this.#hello(message);
    else if (message.t === "values") this.requests.answer(message);
    else if (message.t === "shape") this.#shaped(message);
    else if (message.t === "error") this.#error(message);
    else if (message.t === "stats") {
      this.stats = message;
      document.dispatchEvent(new CustomEvent("ims-data", { detail: message }));
      document.documentElement.dataset.doubtful = (message.doubtful ?? []).join(" ");
      this.strip.show(message);
      this.#counted();
      this.#judge();
    }
  }

  #error(message) {
    if (this.requests.refuse(message)) return;
    this.tools.controls.say(message.detail);
    if (message.v === undefined || message.v === this.view) this.refused = message.detail;
    this.#say();
  }

  #hello(message) {
    if (this.generation !== null && this.generation !== message.generation) {
      this.#reload();
      return;
    }
    this.generation = message.generation;
    this.tools.controls.offer(message.markets, message.temperatures);
    const own = message.tables?.find(({ id }) => id === this.config.table)?.columns ?? (this.config.table === "inventory" ? message.columns : null);
    if (own) this.#offered(own);
    else this.refused = `This server has no table ${this.table.title}`;
  }

  // the rules have changed, or this is the first word: the same view with the columns there are now
  #offered(columns) {
    const told = JSON.stringify(columns);
    if (told === this.told) return;
    this.told = told;
    this.columns = columns.map(column);
    keepPossible(this.state, this.columns, this.table);
    this.#write();
    this.tools.offer(this.columns);
    this.arrange();
    this.grid.resume(window.history.state?.place);
    this.ask();
  }

  #shaped(message) {
    if (message.v !== this.view) return;
    this.shape = message.columns.map(column);
    this.arrange();
  }

  #frame(buffer) {
    if (viewOf(buffer) !== this.view || (this.state.pivot && !this.shape)) return;
    const frame = decode(buffer, this.kinds);
    if (frame.kind === CHANGES) {
      this.grid.change(frame);
      return;
    }
    if (frame.kind === TOTALS) {
      this.grid.sum(this.totals ? frame.values : null);
      this.matching = frame.total;
    } else {
      this.grid.show(frame);
      this.parts.grid.dataset.view = "shown";
      this.total = frame.total;
    }
    this.#counted();
    this.#say();
  }

  #counted() {
    const count = this.grouped ? this.matching : this.total;
    if (count !== null) this.tools.controls.matches(count, this.table.of(this.stats));
  }

  #judge() {
    const { socket } = this;
    const link = {
      connected: socket.connected,
      everConnected: this.everConnected,
      silenceMs: socket.silenceMs(),
      retryMs: socket.retryAt - performance.now(),
      sinceLoadMs: performance.now(),
    };
    this.verdict = judge(link, this.stats);
    this.chip.show(this.verdict);
    this.#say();
  }

  // words in the middle of an empty grid
  #say() {
    const { message } = this.parts;
    const text = this.total ? "" : whyEmpty(this.verdict.name, this.refused, this.total === 0 ? this.table.one : "");
    if (message.textContent !== text) message.textContent = text;
    message.hidden = text === "";
  }
}
