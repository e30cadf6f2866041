// One page's table: its socket, its view, and what stands around the grid.

import { chosen, Chooser } from "./chooser.js";
import { ALWAYS, column, visible } from "./columns.js";
import { Controls } from "./controls.js";
import { decode, WINDOW } from "./frames.js";
import { LiveGrid } from "./live_grid.js";
import { freshTicket, reloadWhenServed } from "./pages.js";
import { GridSocket } from "./socket.js";
import { judge, StatusChip } from "./status.js";
import { Strip } from "./strip.js";
import * as viewState from "./state.js";

/** A page that loses its session sooner would only go round in circles. */
const RELOAD_AFTER_MS = 5000;

export class Desk {
  /** `config`: {table, ticket, gateway_port}; `parts`: elements grid, controls, strip, status, message. */
  constructor(config, parts) {
    this.config = config;
    this.parts = parts;
    this.columns = [];
    this.told = "";
    this.names = [];
    this.kinds = [];
    this.state = viewState.read();
    this.view = 0;
    this.generation = null;
    this.stats = null;
    this.everConnected = false;
    this.total = null;
    this.model = null;
    this.socket = new GridSocket((attempts) => this.#address(attempts), {
      onOpen: () => this.#opened(),
      onClose: () => this.#judge(),
      onText: (message) => this.#told(message),
      onFrame: (buffer) => this.#frame(buffer),
    });
    this.socket.open();
    this.#furnish();
  }

  #furnish() {
    const { parts, state } = this;
    this.grid = new LiveGrid(parts.grid, {
      onWindow: (first, count) => this.socket.send({ t: "window", v: this.view, first, count }),
      onSort: (sort) => this.#sorted(sort),
      onOpen: (code) => this.select(code),
    });
    this.chooser = new Chooser(parts.grid, () => {
      this.#arrange();
      this.#ask();
    });
    this.controls = new Controls(parts.controls, state, {
      onChange: () => this.#changed(),
      exportUrl: () => this.#exportUrl(),
      onTheme: () => this.setTheme(document.documentElement.dataset.theme === "light" ? "dark" : "light"),
    });
    this.strip = new Strip(parts.strip);
    this.chip = new StatusChip(parts.status, document.title);
    this.grid.select(state.selected);
    this.#showSelection();
    setInterval(() => this.#judge(), 250);
    this.#judge();
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#escape(event));
  }

  /** Show the drill-down of a security; "" closes it. */
  select(code) {
    if (code === this.state.selected) return;
    this.state.selected = code;
    viewState.write(this.state);
    this.grid.select(code);
    this.#showSelection();
    document.dispatchEvent(new CustomEvent("ims-picked", { detail: { code } }));
  }

  setTheme(name) {
    this.state.theme = name;
    document.documentElement.dataset.theme = name;
    localStorage.setItem("ims-theme", name);
    viewState.write(this.state);
    if (this.model) this.model.theme = name;
  }

  /** Tie the desk to its Panel component, whose Python side makes the drill-down. */
  attach(model) {
    this.model = model;
    model.theme = document.documentElement.dataset.theme;
    model.selected = this.state.selected;
    model.on("selected", () => this.select(model.selected));
  }

  /** The session is gone, and with it the drill-down: load the page anew, unless it has hardly begun. */
  detach() {
    this.model = null;
    if (performance.now() > RELOAD_AFTER_MS) reloadWhenServed();
  }

  #showSelection() {
    document.documentElement.dataset.detail = this.state.selected ? "open" : "closed";
    if (this.model && this.model.selected !== this.state.selected) this.model.selected = this.state.selected;
  }

  #escape(event) {
    if (event.target === this.controls.search && this.controls.search.value) return;
    this.select("");
  }

  #base(scheme) {
    const secure = window.location.protocol === "https:" ? "s" : "";
    return `${scheme}${secure}://${window.location.hostname}:${this.config.gateway_port}`;
  }

  async #address(attempts) {
    // a refusal cannot be told from a dead server, so a page that is refused for long renews its ticket
    if (attempts >= 3) this.config.ticket = await freshTicket();
    return `${this.#base("ws")}/ws/grid?ticket=${encodeURIComponent(this.config.ticket)}`;
  }

  #exportUrl() {
    const { state } = this;
    const shown = this.names.filter((name) => name !== "updated_ms" && !ALWAYS.includes(name));
    const query = new URLSearchParams({
      ticket: this.config.ticket,
      columns: ["code", ...shown, "at_least", "updated_ms"].join(","),
      text: state.text,
      markets: state.markets.join(","),
      temperatures: state.temperatures.join(","),
      changed_today: state.changedToday ? "1" : "0",
      sort: viewState.sortText(state.sort),
    });
    return `${this.#base("http")}/export/${this.config.table}.csv?${query}`;
  }

  #opened() {
    this.everConnected = true;
    this.grid.resume();
    if (this.names.length) this.#ask();
    this.#judge();
  }

  /** Lay the grid out for the columns that are chosen of those there are. */
  #arrange() {
    const shown = visible(this.columns, chosen());
    this.names = [...new Set([...shown.map(({ id }) => id), ...ALWAYS])];
    const kinds = new Map(this.columns.map(({ id, kind }) => [id, kind]));
    this.kinds = this.names.map((name) => kinds.get(name));
    this.grid.arrange(shown, this.names, this.state.sort);
  }

  /** Name the view anew; frames of the former one are dropped from now on. */
  #ask() {
    this.view = (this.view + 1) % 65536;
    this.parts.grid.dataset.view = "asked";
    this.socket.send({
      t: "view", v: this.view, table: this.config.table, columns: this.names, filter: viewState.filter(this.state),
      sort: this.state.sort, ...this.grid.wanted,
    });
  }

  #changed() {
    viewState.write(this.state);
    this.controls.say("");
    this.grid.restart();
    this.#ask();
  }

  #sorted(sort) {
    if (viewState.sortText(sort) === viewState.sortText(this.state.sort)) return;
    this.state.sort = sort;
    this.#changed();
  }

  #told(message) {
    if (message.t === "hello") this.#hello(message);
    else if (message.t === "error") this.controls.say(message.detail);
    else if (message.t === "stats") {
      this.stats = message;
      document.dispatchEvent(new CustomEvent("ims-data", { detail: message }));
      document.documentElement.dataset.doubtful = (message.doubtful ?? []).join(" ");
      this.strip.show(message);
      this.#counted();
      this.#judge();
    }
  }

  #hello(message) {
    if (this.generation !== null && this.generation !== message.generation) {
      reloadWhenServed();
      return;
    }
    this.generation = message.generation;
    this.controls.offer(message.markets, message.temperatures);
    this.#offered(message.columns);
  }

  // the rules have changed, or this is the first word: the same view with the columns there are now
  #offered(columns) {
    const told = JSON.stringify(columns);
    if (told === this.told) return;
    this.told = told;
    this.columns = columns.map(column);
    const known = new Set(this.columns.map(({ id }) => id));
    this.state.sort = this.state.sort.filter(([id]) => known.has(id));
    viewState.write(this.state);
    this.controls.say("");
    this.#arrange();
    this.chooser.offer(this.columns);
    this.grid.resume();
    this.#ask();
  }

  #frame(buffer) {
    const frame = decode(buffer, this.kinds);
    if (frame.view !== this.view) return;
    if (frame.kind !== WINDOW) {
      this.grid.change(frame);
      return;
    }
    this.grid.show(frame);
    this.parts.grid.dataset.view = "shown";
    if (this.total !== frame.total) {
      this.total = frame.total;
      this.#counted();
    }
    this.#message();
  }

  #counted() {
    if (this.total !== null) this.controls.matches(this.total, this.stats?.securities);
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
    this.#message();
  }

  // words in the middle of an empty grid
  #message() {
    const { message } = this.parts;
    let text = "";
    if (!this.total) {
      if (this.verdict.name === "live" && this.total === 0) text = "No security matches the filter";
      else if (this.verdict.name === "starting") text = "Starting: waiting for the first data";
      else if (this.verdict.name === "disconnected") text = "No connection to the server; trying again";
      else if (this.verdict.name !== "live") text = "No data yet";
    }
    if (message.textContent !== text) message.textContent = text;
    message.hidden = text === "";
  }
}
