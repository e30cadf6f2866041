// The page Breaks: all that does not agree, what does most first; adjustments that wait for a second person; and one in depth.

import { make } from "../grid/dom.js";
import { LivePage } from "../page/live.js";
import { LiveTable } from "../page/table.js";
import { moment, shares } from "../page/words.js";
import { decide, KEYS, refusal, STEPS, take } from "./actions.js";
import { Detail } from "./detail.js";
import { asked, FILTERS } from "./filters.js";
import { grouped } from "./groups.js";
import { affected, briefly, cause, days, kind, money, quantity, severity, SEVERITIES, signed } from "./words.js";

const LIMIT = 1000;
const MANY = Object.keys(STEPS).filter((step) => STEPS[step].many);
/** What the summary counts does not need to be asked each second. */
const SUMMARY_POLLS = 3;

export class BreaksPage extends LivePage {
  /** `parts`: elements root, tabs, sums, tools, list, one, notice, facts. */
  constructor(api, parts, chip, address) {
    super(api, parts, chip, address);
    this.me = api.session.user;
    this.breaks = [];
    this.chosen = new Set();
    this.summary = null;
    this.all = make("input", { type: "checkbox", "aria-label": "Choose all that are shown", onchange: () => this.#chooseAll() });
    this.table = this.#table();
    this.waiting = this.#waitingTable();
    this.none = make("p", { class: "nothing", role: "status" });
    this.detail = new Detail(this);
    parts.list.addEventListener("keydown", (event) => this.#key(event));
    parts.list.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("keydown", (event) => this.#escape(event));
    for (const host of [parts.tabs, parts.sums, parts.one, parts.list]) host.addEventListener("click", (event) => this.#step(event));
  }

  get open() {
    return this.breaks.find(({ id }) => id === this.state.id) ?? null;
  }

  get shut() {
    return new Set(this.state.shut.split("|").filter(Boolean));
  }

  async load(newest, polled) {
    const { view } = this.state;
    this.follow?.();
    const counts = !polled || !this.summary || this.polls % SUMMARY_POLLS === 0;
    const [told, summary] = await Promise.all([
      view === "breaks" ? this.api.breaks(asked(this.state, LIMIT)) : this.api.adjustments("pending"),
      counts ? this.api.summary() : this.summary,
    ]);
    if (!newest()) return;
    this.summary = summary;
    if (view === "breaks") this.#take(told);
    else this.#wait(told.adjustments);
    this.#tabs();
    this.#sums();
    await this.detail.load(newest);
  }

  blank(text, why) {
    this.none.textContent = text;
    this.none.dataset.kind = why;
    this.parts.list.replaceChildren(this.none);
    this.parts.list.setAttribute("aria-busy", "false");
  }

  judge() {
    if (this.summary?.stale) return { name: "stale", text: "STALE BREAKS", tip: this.summary.stale_reason || "What is here may be old" };
    return super.judge();
  }

  go(change, options) {
    if ([...FILTERS, "view"].some((name) => name in change && change[name] !== this.state[name])) this.chosen.clear();
    return super.go(change, options);
  }

  /** Another window is about a security: its breaks, unless somebody is choosing among those that are shown. */
  hear(security) {
    if (this.chosen.size) return;
    const stays = this.detail.one?.id === this.state.id && this.detail.one?.security === security;
    this.go({ view: "breaks", security, id: stays ? this.state.id : "" });
  }

  /** Those that a step would be taken with: the ones that were chosen, else the one that is open. */
  get targets() {
    if (this.chosen.size) return this.breaks.filter(({ id }) => this.chosen.has(id));
    return [];
  }

  #take({ breaks, total, searched, complete }) {
    Object.assign(this, { breaks, total, searched, complete });
    const ids = new Set(this.breaks.map(({ id }) => id));
    this.chosen = new Set([...this.chosen].filter((id) => ids.has(id)));
    const { table } = this.table;
    const [head] = table.tHead.rows[0].cells;
    if (this.all.parentElement !== head) head.replaceChildren(this.all);
    this.table.show(grouped(this.breaks, this.state.group, this.shut));
    this.none.textContent = this.#nothing();
    delete this.none.dataset.kind;
    this.#put(this.breaks.length ? table : this.none);
    this.#mark();
  }

  #wait(adjustments) {
    this.breaks = [];
    this.waiting.show(adjustments);
    this.none.textContent = "No adjustment waits for a second person.";
    delete this.none.dataset.kind;
    this.#put(adjustments.length ? this.waiting.table : this.none);
    this.#mark();
  }

  #put(element) {
    const { list } = this.parts;
    list.setAttribute("aria-busy", "false");
    if (list.firstChild !== element) list.replaceChildren(element);
  }

  #nothing() {
    if (FILTERS.some((name) => this.state[name])) return "No break is like this.";
    return "Nothing is at odds: our books, the depots and the feeds agree.";
  }

  #mark() {
    const rows = [...this.parts.list.querySelectorAll("tbody tr")];
    for (const tr of rows) {
      const { key } = tr.dataset;
      tr.classList.toggle("sel", key === this.state.id);
      tr.setAttribute("aria-current", String(key === this.state.id));
      tr.classList.toggle("chosen", this.chosen.has(key));
      tr.tabIndex = -1;
      const box = tr.querySelector("input");
      if (box) box.checked = tr.classList.contains("heading") ? this.#of(key).every(({ id }) => this.chosen.has(id)) : this.chosen.has(key);
    }
    const home = rows.find((tr) => tr === document.activeElement) ?? rows.find((tr) => tr.classList.contains("sel")) ?? rows[0];
    if (home) home.tabIndex = 0;
    this.all.checked = this.breaks.length > 0 && this.chosen.size === this.breaks.length;
    this.all.indeterminate = this.chosen.size > 0 && !this.all.checked;
    this.#tools();
  }

  /** The breaks of a group's line. */
  #of(key) {
    return grouped(this.breaks, this.state.group, new Set()).find(({ heading, id }) => heading && id === key)?.breaks ?? [];
  }

  #tabs() {
    const { tabs } = this.parts;
    const { view } = this.state;
    const { total = 0, adjustments_pending: pending = 0 } = this.summary ?? {};
    const told = JSON.stringify([view, total, pending, this.address.of({ ...this.state, id: "" })]);
    if (told === this.tabsTold) return;
    this.tabsTold = told;
    const held = tabs.contains(document.activeElement) ? document.activeElement.dataset.view : null;
    const tab = (name, label, number) => make("a", { href: this.address.of({ ...this.state, view: name, id: "" }), "data-view": name, class: "step", "aria-current": name === view && "page" }, label, number ? make("b", {}, ` ${shares(number)}`) : "");
    tabs.replaceChildren(tab("breaks", "Breaks", total), tab("adjustments", "Waiting for a second person", pending));
    if (held) tabs.querySelector(`[data-view="${held}"]`)?.focus();
  }

  /** What there is in all, each figure a way to it. */
  #sums() {
    const { summary, state } = this;
    const of = (name) => summary.by_kind.reduce((sum, each) => sum + each[name], 0);
    const link = (text, change, tone = "") => make("a", { href: this.address.of({ ...state, ...Object.fromEntries(FILTERS.map((name) => [name, ""])), view: "breaks", ...change }), class: `step ${tone}` }, text);
    const parts = [
      ...SEVERITIES.map((name) => [name, of(name)]).filter(([, count]) => count).map(([name, count]) => link(`${severity(name)} ${shares(count)}`, { severity: name }, name)),
      link(`nobody's ${shares(summary.unowned)}`, { owner: "-" }), summary.held ? link(`kept out ${shares(summary.held)} shares`, { held: "true" }) : "",
      make("span", {}, `hangs on them: ${briefly(of("affected"))} shares · value ${briefly(of("value"))}`),
      make("span", {}, `oldest ${days(summary.oldest_age_days)}`),
      summary.stale ? make("span", { class: "warn" }, `⚠ as of ${moment(summary.as_of, this.now)}: ${summary.stale_reason || "old"}`) : "",
      state.view === "breaks" && state.text.trim() ? make("span", {}, `found ${shares(this.total)} among ${shares(this.searched)}`) : "",
      state.view === "breaks" && this.total > this.breaks.length ? make("span", { class: "warn" }, `the first ${shares(this.breaks.length)} of ${shares(this.total)}`) : "",
      state.view === "breaks" && this.complete === false ? make("span", { class: "warn" }, "of some kinds there are more than are kept") : "",
    ].filter(Boolean);
    const told = parts.map((each) => each.outerHTML).join("");
    if (told === this.sumsTold) return;
    const held = this.parts.sums.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    this.sumsTold = told;
    this.parts.sums.replaceChildren(...parts);
    if (held) [...this.parts.sums.querySelectorAll("a")].find((each) => each.getAttribute("href") === held)?.focus();
  }

  #tools() {
    const { tools } = this.parts;
    tools.hidden = this.state.view !== "breaks";
    const { size } = this.chosen;
    const buttons = MANY.map((step) => ({ step, why: refusal(this, step, this.targets) }));
    const told = JSON.stringify([this.state.view, size, buttons]);
    if (told === this.toolsTold) return;
    this.toolsTold = told;
    const held = tools.contains(document.activeElement) ? document.activeElement.dataset.do : null;
    const button = ({ step, why }) =>
      make("button", { type: "button", "data-do": step, class: STEPS[step].danger ? "danger" : "", "aria-disabled": String(Boolean(why)), title: why || `Key: ${STEPS[step].key}`, onclick: () => (why ? this.say(why, "bad") : this.takeMany(step)) }, STEPS[step].name);
    const total = this.targets.reduce((sum, each) => sum + (each.unit === "shares" ? each.quantity : 0), 0);
    tools.replaceChildren(make("span", { class: "sub" }, size ? `${shares(size)} chosen, ${signed(total)}` : "None chosen"), ...buttons.map(button));
    if (held) tools.querySelector(`[data-do="${held}"]`)?.focus();
  }

  takeMany(step) {
    return take(this, step, this.targets);
  }

  /** A step was taken with these: they are chosen no more. What is chosen from now on is for the next one. */
  taken(breaks) {
    this.#choose(breaks.map(({ id }) => id), false);
  }

  #choose(keys, on) {
    for (const key of keys) this.chosen[on ? "add" : "delete"](key);
    this.#mark();
  }

  #chooseAll() {
    this.chosen = new Set(this.all.checked ? this.breaks.map(({ id }) => id) : []);
    this.#mark();
  }

  #shut(key, on) {
    const { shut } = this;
    shut[on ? "add" : "delete"](key);
    return this.go({ shut: [...shut].join("|") }, { step: false });
  }

  #clicked(event) {
    const row = event.target.closest("tbody tr");
    if (!row || event.target.closest("a, button")) return undefined;
    const { key } = row.dataset;
    const heading = row.classList.contains("heading");
    if (event.target.tagName === "INPUT") return this.#choose(heading ? this.#of(key).map(({ id }) => id) : [key], event.target.checked);
    row.focus();
    if (heading) return this.#shut(key, !this.shut.has(key));
    const id = this.state.view === "breaks" ? key : row.dataset.break;
    return this.go({ id: id === this.state.id ? "" : id });
  }

  /** A plain click on a link of this page is a step within it; otherwise the browser opens what it opens. */
  #step(event) {
    const link = event.target.closest?.("a.step");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.say("");
    this.go({ ...this.address.read(new URL(link.href).search), theme: this.state.theme });
  }

  #key(event) {
    const row = event.target.closest("tbody tr");
    if (!row || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button")) return;
    const rows = [...row.parentElement.rows];
    const at = rows.indexOf(row);
    const { key } = row.dataset;
    const heading = row.classList.contains("heading");
    const page = Math.max(1, Math.floor(this.parts.list.clientHeight / 24) - 2);
    const to = { ArrowDown: rows[at + 1], j: null, ArrowUp: rows[at - 1], PageDown: rows[Math.min(rows.length - 1, at + page)], PageUp: rows[Math.max(0, at - page)], Home: rows[0], End: rows.at(-1) }[event.key];
    const step = this.state.view === "breaks" ? KEYS[event.key.toLowerCase()] : null;
    if (to) {
      rows.forEach((tr) => (tr.tabIndex = tr === to ? 0 : -1));
      to.focus();
      if (this.state.id && !to.classList.contains("heading")) this.go({ id: to.dataset.break ?? to.dataset.key }, { step: false });
    } else if (event.key === "Enter") heading ? this.#shut(key, !this.shut.has(key)) : this.go({ id: row.dataset.break ?? key });
    else if (heading && ["ArrowLeft", "ArrowRight"].includes(event.key)) this.#shut(key, event.key === "ArrowLeft");
    else if (event.key === " " && this.state.view === "breaks") {
      const keys = heading ? this.#of(key).map(({ id }) => id) : [key];
      this.#choose(keys, !keys.every((each) => this.chosen.has(each)));
    } else if (step && this.chosen.size && STEPS[step].many) this.takeMany(step);
    else if (step && !heading) take(this, step, [this.breaks.find(({ id }) => id === key)]);
    else return;
    event.preventDefault();
  }

  #escape(event) {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]") || !this.state.id) return;
    const { id } = this.state;
    this.go({ id: "" });
    this.parts.list.querySelector(`tr[data-key="${id}"]`)?.focus();
  }

  #table() {
    const box = (td, { id, heading, title }) => {
      if (!td.firstChild) td.append(make("input", { type: "checkbox", tabindex: -1, "aria-label": heading ? `Choose all ${title}` : `Choose ${id}` }));
    };
    const columns = [
      { id: "choose", title: "", cell: (each, td) => box(td, each) },
      { id: "rank", title: "#", tip: "By what hangs on it", num: true, cell: (each) => (each.heading ? "" : each.rank === null ? "" : shares(each.rank)) },
      { id: "severity", title: "Severity", cell: (each, td) => toned(td, `sev ${each.severity}`, severity(each.severity)) },
      { id: "kind", title: "Kind", cell: (each, td) => (each.heading ? toned(td, "group", `${this.shut.has(each.id) ? "▸" : "▾"} ${each.title} (${shares(each.breaks.length)})`) : kind(each.kind)) },
      { id: "security", title: "Security", cell: (each, td) => titled(td, each.heading ? "" : each.name, each.heading ? "" : each.security) },
      { id: "place", title: "Where", tip: "Depot, book, client, unit or feed", cell: (each) => (each.heading ? "" : each.depot || each.book || each.client || each.aggregation_unit || each.feed || "") },
      { id: "quantity", title: "Difference", tip: "Theirs less ours", num: true, cell: (each, td) => (each.heading ? "" : toned(td, each.quantity < 0 ? "num minus" : "num", quantity(each))) },
      { id: "unexplained", title: "Unexplained", tip: "Of the difference", num: true, cell: (each, td) => toned(td, each.unexplained ? "num" : "num zero", shares(each.unexplained)) },
      { id: "affected", title: "Hangs on it", tip: "Sellable, lendable and located shares", num: true, cell: (each, td) => { td.title = affected(each); return toned(td, each.affected ? "num strong" : "num zero", shares(each.affected)); } },
      { id: "value", title: "Value", tip: "In the reporting currency", num: true, cell: (each, td) => toned(td, each.value ? "num" : "num zero", money(each.value)) },
      { id: "cause", title: "Likely cause", cell: (each) => (each.heading ? "" : cause(each.cause)) },
      { id: "age", title: "Age", tip: "Business days", num: true, cell: (each, td) => toned(td, each.age_days >= 2 ? "num old" : "num", days(each.age_days)) },
      { id: "owner", title: "Owner", cell: (each, td) => (each.heading ? "" : toned(td, each.owner ? "" : "zero", each.owner || "nobody")) },
      { id: "state", title: "State", cell: (each, td) => (each.heading ? "" : toned(td, `state ${each.state}`, each.held ? `${each.state} · ⛌ ${shares(each.held)} out` : each.state)) },
      { id: "title", title: "What", cell: (each, td) => titled(td, each.heading ? "" : each.title, each.heading ? "" : each.title) },
    ];
    return new LiveTable({ label: "Breaks", columns, key: ({ id }) => id, mark: (tr, each) => {
      tr.classList.toggle("heading", Boolean(each.heading));
      if (each.heading) tr.setAttribute("aria-expanded", String(!this.shut.has(each.id)));
    } });
  }

  #waitingTable() {
    const buttons = (td, each) => {
      const mine = each.asked_by === this.me;
      const told = `${mine}`;
      if (td.dataset.told === told) return;
      td.dataset.told = told;
      const why = this.may("ops", "admin") ? "" : "Only ops or admin may do this";
      const button = (step, title, refused, danger) => make("button", { type: "button", "data-do": step, class: danger ? "danger" : "", "aria-disabled": String(Boolean(refused)), title: refused, onclick: () => (refused ? this.say(refused, "bad") : decide(this, step, each)) }, title);
      td.className = "tools";
      td.replaceChildren(...(mine ? [button("withdraw", "Withdraw…", why, true)] : []), button("approve", "Approve…", why || (mine ? "Another person approves it" : "")), ...(mine ? [] : [button("reject", "Reject…", why, true)]));
    };
    const columns = [
      { id: "break", title: "Break", cell: ({ break_id: id }) => id },
      { id: "security", title: "Security", cell: ({ security }) => security },
      { id: "book", title: "Book", cell: ({ book }) => book },
      { id: "depot", title: "Depot", cell: ({ depot }) => depot },
      { id: "type", title: "Type", cell: ({ position_type: type }) => type },
      { id: "quantity", title: "Adjustment", num: true, cell: (each, td) => toned(td, each.quantity < 0 ? "num minus" : "num", signed(each.quantity)) },
      { id: "by", title: "Asked by", cell: ({ asked_by: by }) => by },
      { id: "at", title: "At, UTC", num: true, cell: ({ asked_at: at }) => moment(at, this.now) },
      { id: "do", title: "", cell: (each, td) => buttons(td, each) },
      { id: "why", title: "Why", cell: ({ comment }, td) => titled(td, comment, comment) },
    ];
    return new LiveTable({ label: "Adjustments that wait for a second person", columns, key: ({ id }) => id, mark: (tr, each) => (tr.dataset.break = each.break_id) });
  }
}

function toned(td, tone, text) {
  if (td.className !== tone) td.className = tone;
  return text;
}

function titled(td, title, text) {
  if (td.title !== (title ?? "")) td.title = title ?? "";
  return text ?? "";
}
