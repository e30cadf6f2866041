// The page History: numbers of a security, or of somebody's limits in it, over time with what happened, a past moment beside now,
// markets over time, and how fast locates were answered.

import { make } from "../grid/dom.js";
import { TimeChart } from "../charts/time_chart.js";
import { LivePage } from "../page/live.js";
import { ApiError } from "../page/rest.js";
import { besides, limitsBeside } from "./beside.js";
import { moment, range } from "./range.js";

const VIEWS = [["security", "Security"], ["limits", "Limits"], ["markets", "Utilisation by market"], ["answers", "Locate response times"]];
/** The recorder looks once a minute: nobody needs to ask each second. What happened is looked for in all events of the time. */
const POLLS = 10;
const MARKS_MS = 60_000;
const UNITS = { shares: "shares", money: "own currency", reporting: "reporting currency", basis_points: "%" };
const KINDS = { action: "Corporate action", trade: "Trade", rules: "Rules", day: "Day", decision: "Decision", stale: "Late feeds", gap: "Not recorded" };
const ASK = "Name a security above: its numbers over time are drawn here, with what happened meanwhile. A click on the chart puts that moment beside now.";

const ASK_LIMITS = "Name a client or an aggregation unit, and a security: what it might still sell of it, short and long, is drawn here. A limit is recorded while orders hold something of it, and for a day after somebody has asked about it.";
const NEVER = "Nobody had asked about this limit in this time, and no order held anything of it: it is recorded from now on.";
/** Of whoever is kept to some clients. */
const NOT_YOURS = { marks: [], complete: true, note: "", refused: true };

export class HistoryPage extends LivePage {
  /** `parts`: elements root, tabs, chart, marks, beside, notice, facts. */
  constructor(api, parts, chip, address) {
    super(api, parts, chip, address);
    this.none = make("p", { class: "nothing", role: "status" });
    this.notes = make("p", { class: "nothing" });
    this.chart = null;
    parts.tabs.addEventListener("click", (event) => this.#tab(event));
    parts.marks.addEventListener("click", (event) => event.target.closest("button")?.dataset.at && this.go({ at: event.target.closest("button").dataset.at }));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.state.at && !event.defaultPrevented) this.go({ at: "" });
    });
  }

  async load(newest, polled) {
    const shown = range(this.state, this.now);
    this.filters.show(this.state, { from: this.state.from && this.state.to });
    this.#tabs();
    const { view } = this.state;
    const missing = this.#missing();
    this.parts.root.dataset.view = missing ? "ask" : view;
    const asked = JSON.stringify({ ...this.state, theme: "", all: "" });
    if (polled && asked === this.drawn && (!shown.live || this.polls % POLLS)) return;
    const numbers = () => this.#numbers(newest, shown, asked !== this.drawn);
    if (missing) this.blank(missing, "");
    else await { security: numbers, limits: numbers, markets: () => this.#markets(newest, shown), answers: () => this.#answers(newest, shown) }[view]();
    if (newest()) this.drawn = asked;
  }

  /** What has to be named first. */
  #missing() {
    const { view, sec, owner } = this.state;
    if (view === "limits") return sec && owner ? "" : ASK_LIMITS;
    return view === "security" && !sec ? ASK : "";
  }

  /** The change of state that leads to a view: numbers of a security and of limits have different names. */
  leading = (view) => (view === this.state.view ? { view } : { view, num: "" });

  blank(text, kind) {
    const { chart, marks, beside } = this.parts;
    this.none.textContent = text;
    if (kind) this.none.dataset.kind = kind;
    else delete this.none.dataset.kind;
    this.chart?.close();
    this.chart = null;
    chart.replaceChildren(this.none);
    marks.replaceChildren();
    beside.replaceChildren();
    this.told = this.marksTold = "";
  }

  #drawing(title, label, source) {
    if (!this.chart) {
      const pick = (ms) => ["security", "limits"].includes(this.state.view) && this.go({ at: moment(Math.round(ms / 1000) * 1000) });
      this.chart = new TimeChart(this.parts.chart, { title, label, source, onPick: pick, onRange: (from, to) => this.go({ from: moment(from), to: moment(to) }) });
    }
    this.chart.source = source;
    this.chart.setTitle(title);
    return this.chart;
  }

  async #numbers(newest, shown, changed) {
    const { view, sec, num, day } = this.state;
    const limits = view === "limits";
    const asked = { from: moment(shown.from), to: moment(shown.to) };
    if (changed && !this.chart) this.#waiting();
    const known = !changed && performance.now() - this.marksAt < MARKS_MS ? this.marksKnown : this.#happened(sec, asked);
    const [history, marks] = await Promise.all([this.#over({ ...asked, calculation: num, day }), known]);
    if (!newest()) return;
    if (marks !== this.marksKnown) [this.marksKnown, this.marksAt] = [marks, performance.now()];
    this.titles = new Map(history.lines.map((line) => [line.calculation, line]));
    this.choices = history.choices;
    this.filters.offer(history.choices, history.lines.map(({ calculation }) => calculation));
    const recorded = history.samples > 0;
    const of = limits ? `${history.owner} in ${history.security}` : history.security;
    const chart = this.#drawing(`${of} on SD${history.lines[0].day}`, limits ? "Limits over time" : "Numbers over time", `IMS /api/v1/history${limits ? "/limits" : ""}`);
    chart.show({ lines: linesOf(history), marks: marks.marks.map(atMs), from_ms: shown.from, to_ms: shown.to, picked_ms: Date.parse(this.state.at) || 0 });
    const never = recorded && limits && history.lines.every(({ covered }) => !covered.length);
    this.say(recorded ? (never ? NEVER : "") : `Nothing was recorded in this time: all numbers are looked at every ${history.every_s} s, and kept for as long as is set.`, "");
    this.parts.chart.dataset.recorded = String(recorded);
    this.#marks(marks);
    await (limits ? this.#limitsBeside(newest, history) : this.#beside(newest, history.lines[0].day));
  }

  #over(asked) {
    const { view, scope, owner, sec } = this.state;
    return view === "limits" ? this.api.limits(scope, owner, sec, asked) : this.api.history(sec, asked);
  }

  /** What happened to the security: whoever sees some clients only is told of his limits without it. */
  async #happened(sec, asked) {
    try {
      return await this.api.marks(sec, asked);
    } catch (error) {
      if (this.state.view === "limits" && error instanceof ApiError && error.status === 403) return NOT_YOURS;
      throw error;
    }
  }

  async #limitsBeside(newest, history) {
    const { at, num, day } = this.state;
    const { beside, root } = this.parts;
    root.dataset.beside = at ? "open" : "closed";
    this.told = "";
    if (!at) return beside.replaceChildren();
    const second = { from: at, to: moment(Date.parse(at) + 1000) };
    const then = await this.#over({ ...second, calculation: num, day });
    if (!newest()) return undefined;
    const unknown = make("p", { class: "nothing", "data-kind": "missing", role: "status" }, `What the limit was at ${at.slice(0, 19).replace("T", " ")} UTC is not known: nobody looked at it then.`);
    return beside.replaceChildren(...(then.points.length ? limitsBeside(at, then, history) : [unknown]));
  }

  async #beside(newest, day) {
    const { sec, at, all } = this.state;
    const { beside } = this.parts;
    this.parts.root.dataset.beside = at ? "open" : "closed";
    if (!at) {
      this.told = "";
      beside.replaceChildren();
      return;
    }
    const key = JSON.stringify([sec, at]);
    if (this.told !== key) {
      this.told = key;
      this.then = null;
      beside.replaceChildren(make("p", { class: "nothing", role: "status" }, "Working out what was: from the newest snapshot before it, and all that happened since…"));
    }
    const [then, now] = await Promise.all([this.then ?? this.#was(sec, at), this.#was(sec, "now")]);
    if (!newest()) return;
    this.then = then.problem ? null : then;
    const problem = then.problem ?? now.problem;
    if (problem) {
      beside.replaceChildren(make("p", { class: "nothing", "data-kind": "missing", role: "status" }, `What was at ${at.slice(0, 19).replace("T", " ")} UTC is not known: ${problem}.`));
      return;
    }
    const top = beside.scrollTop;
    const titles = new Map((this.choices ?? []).map((each) => [each.calculation, { title: each.title, scale: each.unit === "shares" ? 1 : 100 }]));
    beside.replaceChildren(...besides({ then, now }, day, titles, Boolean(all), () => this.go({ all: all ? "" : "1" }, { step: false })));
    beside.scrollTop = top;
  }

  async #was(sec, at) {
    try {
      return await this.api.asof(sec, at);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 503)) return { problem: error.message };
      throw error;
    }
  }

  async #markets(newest, shown) {
    if (!this.chart) this.#waiting();
    const told = await this.api.markets({ from: moment(shown.from), to: moment(shown.to), points: 600 });
    if (!newest()) return;
    const spans = told.covered.map(({ since, until }) => [Date.parse(since), Date.parse(until)]);
    const markets = [...new Set(told.points.map(({ market }) => market))].sort();
    const lines = markets.map((market) => {
      const of = told.points.filter((point) => point.market === market);
      return { name: market, unit: "%", times_ms: of.map(({ at }) => Date.parse(at)), values: of.map(({ utilisation }) => utilisation), spans };
    });
    this.#others(lines, shown, "Utilisation by market, median of securities with stock", "IMS /api/v1/utilisation", "Nothing was recorded in this time.");
  }

  async #answers(newest, shown) {
    if (!this.chart) this.#waiting();
    const told = await this.api.answers({ from: moment(shown.from), to: moment(shown.to) });
    if (!newest()) return;
    const times = told.points.map(({ at }) => Date.parse(at));
    const line = (name, field) => ({ name, unit: "ms", times_ms: times, values: told.points.map((point) => (point.count ? point[field] : null)), spans: null });
    const lines = told.points.length ? [line("p50", "p50_ms"), line("p99", "p99_ms"), line("longest", "max_ms")] : [];
    this.#others(lines, shown, "Locate response times", "IMS /api/v1/latencies", "No locate was asked for in this time, or the engine was started since.");
  }

  #others(lines, shown, title, source, nothing) {
    const { marks, beside, root } = this.parts;
    root.dataset.beside = "closed";
    marks.replaceChildren();
    beside.replaceChildren();
    this.told = this.marksTold = "";
    this.say("");
    const chart = this.#drawing(title, title, source);
    chart.show({ lines, marks: [], from_ms: shown.from, to_ms: shown.to });
    chart.say(lines.length ? "" : nothing);
  }

  #waiting() {
    this.none.textContent = "Reading…";
    delete this.none.dataset.kind;
    if (this.parts.chart.firstChild !== this.none) this.parts.chart.replaceChildren(this.none);
  }

  #marks({ marks, complete, note, refused }) {
    const told = JSON.stringify([marks, note, refused, this.state.at]);
    if (told === this.marksTold) return;
    this.marksTold = told;
    const { at } = this.state;
    const items = [...marks].reverse().map((mark) => {
      const pressed = Date.parse(mark.at) === Date.parse(at);
      return make("li", { class: mark.kind }, make("button", { type: "button", "data-at": mark.at, "aria-pressed": String(pressed), title: "Put this moment beside now" }, make("time", {}, mark.at.slice(5, 19).replace("T", " ")), make("b", {}, KINDS[mark.kind] ?? mark.kind), make("span", {}, mark.text)));
    });
    const none = make("p", { class: "nothing" }, refused ? "What happened to the security as a whole is not yours to see." : "Nothing happened that the chart should show.");
    this.parts.marks.replaceChildren(make("h2", {}, "What happened"), items.length ? make("ul", {}, ...items) : none, complete ? "" : make("p", { class: "lead sub" }, `Only what the recorder saw: ${note}.`));
  }

  #tabs() {
    const told = this.state.view;
    if (told === this.tabsTold) return;
    this.tabsTold = told;
    this.chart?.close();
    this.chart = null;
    this.parts.tabs.replaceChildren(...VIEWS.map(([view, title]) => make("a", { href: this.address.of({ ...this.state, ...this.leading(view) }), "data-view": view, "aria-current": view === told && "page" }, title)));
  }

  #tab(event) {
    const link = event.target.closest("a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.go(this.leading(link.dataset.view));
  }
}

function linesOf({ lines, points }) {
  return lines.map((line) => {
    const of = points.filter(({ calculation, day }) => calculation === line.calculation && day === line.day);
    const spans = line.covered.map(({ since, until }) => [Date.parse(since), Date.parse(until)]);
    const newest = of.length ? Date.parse(of.at(-1).at) : 0;
    // the last number is of now: it is known from the recorder's last look on
    if (spans.length && newest >= spans.at(-1)[0] && newest - spans.at(-1)[1] < 120_000) spans.at(-1)[1] = Math.max(spans.at(-1)[1], newest + 1);
    else if (newest) spans.push([newest, newest + 1]);
    return { name: line.title, unit: UNITS[line.unit] ?? line.unit, times_ms: of.map(({ at }) => Date.parse(at)), values: of.map(({ value }) => value / line.scale), spans };
  });
}

const atMs = ({ at, until, kind, text }) => ({ at_ms: Date.parse(at), until_ms: Date.parse(until), kind, text });
