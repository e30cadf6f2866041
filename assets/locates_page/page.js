// The page Locates: those that wait for a person, oldest first within priority; all others; and one of them in depth.

import { make } from "../grid/dom.js";
import { age } from "../grid/formats.js";
import { LivePage } from "../page/live.js";
import { LiveTable } from "../page/table.js";
import { moment, percent, shares, words } from "../page/words.js";
import { refusal, take, takeMany } from "./actions.js";
import { Detail } from "./detail.js";
import { asker, feeOf, LIVE, priorityOf, question, stateText } from "./words.js";

const QUEUE = 500;
const PAGE = 200;
const MANY = { queue: ["approve", "reject", "ask"], all: ["release", "cancel"] };
const KEYS = { a: "approve", p: "part", r: "reject", q: "ask", l: "release", c: "cancel" };

export class LocatesPage extends LivePage {
  /** `parts`: elements root, tabs, tools, list, one, notice, facts. */
  constructor(api, parts, chip, address) {
    super(api, parts, chip, address);
    this.locates = [];
    this.chosen = new Set();
    this.more = 0;
    this.all = make("input", { type: "checkbox", "aria-label": "Choose all that are shown", onchange: () => this.#chooseAll() });
    this.tables = { queue: this.#table("queue"), all: this.#table("all") };
    this.older = make("button", { type: "button", onclick: () => this.#older() }, "Show more");
    this.none = make("p", { class: "nothing", role: "status" });
    this.detail = new Detail(this);
    parts.list.addEventListener("keydown", (event) => this.#key(event));
    parts.list.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("keydown", (event) => this.#escape(event));
    parts.tabs.addEventListener("click", (event) => this.#step(event));
    parts.one.addEventListener("click", (event) => this.#step(event));
  }

  get open() {
    return this.locates.find(({ id }) => id === this.state.id) ?? null;
  }

  /** Ask for what is on screen. */
  async load(newest) {
    const { view, client, security, state, date } = this.state;
    const queue = view === "queue";
    this.follow?.();
    const asked = queue ? { state: "pending", order: "oldest", client, security, limit: QUEUE } : { client, security, state, date, limit: Math.min(1000, PAGE + this.more) };
    const told = await this.api.locates(asked);
    if (!newest()) return;
    this.cursor = told.next_cursor;
    this.#take(queue ? told.locates.sort(before) : told.locates);
    await this.detail.load(newest);
  }

  blank(text, kind) {
    this.none.textContent = text;
    this.none.dataset.kind = kind;
    this.parts.list.replaceChildren(this.none);
    this.parts.list.setAttribute("aria-busy", "false");
  }

  go(change, options) {
    if (["view", "client", "security", "state", "date"].some((name) => name in change && change[name] !== this.state[name])) {
      this.chosen.clear();
      this.more = 0;
    }
    return super.go(change, options);
  }

  /** Another window is about a security: its locates, unless somebody is choosing among those that are shown. */
  hear(security) {
    if (this.chosen.size) return;
    this.go({ security, id: this.detail.locate?.security === security ? this.state.id : "" });
  }

  /** Those that a step would be taken with. */
  get targets() {
    return this.chosen.size ? this.locates.filter(({ id }) => this.chosen.has(id)) : [];
  }

  #take(locates) {
    this.locates = locates;
    const ids = new Set(locates.map(({ id }) => id));
    this.chosen = new Set([...this.chosen].filter((id) => ids.has(id)));
    const { view } = this.state;
    const table = this.tables[view];
    const [head] = table.table.tHead.rows[0].cells;
    if (this.all.parentElement !== head) head.replaceChildren(this.all);
    table.show(locates);
    const { list } = this.parts;
    list.setAttribute("aria-busy", "false");
    this.older.hidden = !this.cursor || view === "queue";
    this.none.textContent = this.#nothing();
    delete this.none.dataset.kind;
    const shown = locates.length ? [table.table, this.older] : [this.none];
    if (list.firstChild !== shown[0]) list.replaceChildren(...shown);
    this.#mark();
    this.#tabs();
  }

  #nothing() {
    const { view, client, security, state, date } = this.state;
    const narrowed = client || security || state || date;
    if (view === "queue") return narrowed ? "Nothing of this waits for a person." : "Nothing waits for a person: the rules have decided on every request.";
    return narrowed ? "No locate is like this." : "Nobody has asked for a locate yet.";
  }

  #mark() {
    const rows = [...this.parts.list.querySelectorAll("tbody tr")];
    for (const tr of rows) {
      tr.classList.toggle("sel", tr.dataset.key === this.state.id);
      tr.setAttribute("aria-current", String(tr.dataset.key === this.state.id));
      tr.classList.toggle("chosen", this.chosen.has(tr.dataset.key));
      tr.tabIndex = -1;
      tr.querySelector("input").checked = this.chosen.has(tr.dataset.key);
    }
    const home = rows.find((tr) => tr === document.activeElement) ?? rows.find((tr) => tr.classList.contains("sel")) ?? rows[0];
    if (home) home.tabIndex = 0;
    this.all.checked = rows.length > 0 && this.chosen.size === rows.length;
    this.all.indeterminate = this.chosen.size > 0 && !this.all.checked;
    this.#tools();
  }

  #tabs() {
    const { tabs } = this.parts;
    const { view } = this.state;
    if (view === "queue") this.waiting = `${shares(this.locates.length)}${this.cursor ? "+" : ""}`;
    const told = `${view} ${this.waiting ?? ""} ${this.address.of({ ...this.state, id: "" })}`;
    if (told === this.tabsTold) return;
    this.tabsTold = told;
    const held = tabs.contains(document.activeElement) ? document.activeElement.dataset.view : null;
    const tab = (name, label, number) => make("a", { href: this.address.of({ ...this.state, view: name, id: "", state: "", date: "" }), "data-view": name, "aria-current": name === view && "page" }, label, number ? make("b", {}, ` ${number}`) : "");
    tabs.replaceChildren(tab("queue", "Waiting for a person", this.waiting === "0" ? "" : this.waiting), tab("all", "All locates"));
    if (held) tabs.querySelector(`[data-view="${held}"]`)?.focus();
  }

  #tools() {
    const { tools } = this.parts;
    const { size } = this.chosen;
    const buttons = MANY[this.state.view].map((step) => {
      const why = size ? this.targets.map((locate) => refusal(this, step, locate)).find(Boolean) ?? "" : "Choose locates first";
      return { step, why };
    });
    const told = JSON.stringify([this.state.view, size, buttons]);
    if (told === this.toolsTold) return;
    this.toolsTold = told;
    const held = tools.contains(document.activeElement) ? document.activeElement.dataset.do : null;
    const button = ({ step, why }) =>
      make("button", { type: "button", "data-do": step, class: step === "reject" ? "danger" : "", "aria-disabled": String(Boolean(why)), title: why, onclick: () => (why ? this.say(why, "bad") : this.#takeMany(step)) }, `${step[0].toUpperCase()}${step.slice(1)}${size ? ` ${shares(size)}` : ""}…`);
    tools.replaceChildren(make("span", { class: "sub" }, size ? `${shares(size)} chosen` : "None chosen"), ...buttons.map(button));
    if (held) tools.querySelector(`[data-do="${held}"]`)?.focus();
  }

  async #takeMany(step) {
    if (!(await takeMany(this, step, this.targets))) return;
    this.chosen.clear();
    await this.show();
  }

  #choose(id, on) {
    this.chosen[on ? "add" : "delete"](id);
    this.#mark();
  }

  #chooseAll() {
    this.chosen = new Set(this.all.checked ? this.locates.map(({ id }) => id) : []);
    this.#mark();
  }

  async #older() {
    this.more = Math.min(1000 - PAGE, this.more + PAGE);
    await this.show();
  }

  #clicked(event) {
    const row = event.target.closest("tbody tr");
    if (!row || event.target.closest("a, button")) return;
    if (event.target.tagName === "INPUT") return this.#choose(row.dataset.key, event.target.checked);
    row.focus();
    return this.go({ id: row.dataset.key === this.state.id ? "" : row.dataset.key });
  }

  /** A plain click on a link of this page is a step within it; otherwise the browser opens what it opens. */
  #step(event) {
    const link = event.target.closest?.("#tabs a, a.step");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.say("");
    this.go({ ...this.address.read(new URL(link.href).search), theme: this.state.theme });
  }

  #key(event) {
    const row = event.target.closest("tbody tr");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...row.parentElement.rows];
    const at = rows.indexOf(row);
    const to = { ArrowDown: rows[at + 1], j: rows[at + 1], ArrowUp: rows[at - 1], k: rows[at - 1], Home: rows[0], End: rows.at(-1) }[event.key];
    const step = KEYS[event.key.toLowerCase()];
    if (to) {
      rows.forEach((tr) => (tr.tabIndex = tr === to ? 0 : -1));
      to.focus();
      if (this.state.id) this.go({ id: to.dataset.key }, { step: false });
    } else if (event.key === "Enter") this.go({ id: row.dataset.key });
    else if (event.key === " ") this.#choose(row.dataset.key, !this.chosen.has(row.dataset.key));
    else if (step && this.chosen.size && MANY[this.state.view].includes(step)) this.parts.tools.querySelector(`[data-do="${step}"]`).click();
    else if (step) take(this, step, this.locates.find(({ id }) => id === row.dataset.key));
    else return;
    event.preventDefault();
  }

  #escape(event) {
    if (event.key !== "Escape" || document.querySelector("dialog[open]") || !this.state.id) return;
    const { id } = this.state;
    this.go({ id: "" });
    this.parts.list.querySelector(`tr[data-key="${id}"]`)?.focus();
  }

  #table(view) {
    const queue = view === "queue";
    const box = (td, locate) => {
      if (td.firstChild) return;
      td.append(make("input", { type: "checkbox", tabindex: -1, "aria-label": `Choose ${locate.id}` }));
    };
    const columns = [
      { id: "choose", title: "", cell: (locate, td) => box(td, locate) },
      queue ? { id: "age", title: "Waits", tip: "Since it was asked for", num: true, cell: (locate) => age(this.now - Date.parse(locate.received_at)) }
        : { id: "at", title: "At, UTC", num: true, cell: (locate) => moment(locate.received_at, this.now) },
      ...(queue ? [{ id: "priority", title: "Prio", tip: "Priority: the higher is tried first", num: true, cell: (locate, td) => zero(td, priorityOf(locate)) }]
        : [{ id: "state", title: "State", cell: (locate, td) => stateCell(td, locate.state) }]),
      { id: "client", title: "Client", cell: (locate) => locate.client },
      { id: "security", title: "Security", cell: (locate, td) => named(td, locate) },
      { id: "type", title: "Type", cell: (locate) => locate.type },
      { id: "requested", title: "Asked for", num: true, cell: (locate) => shares(locate.requested) },
      ...(queue ? [] : [
        { id: "approved", title: "Approved", num: true, cell: (locate, td) => zero(td, locate.approved) },
        { id: "used", title: "Used", num: true, cell: (locate, td) => zero(td, locate.used) },
        { id: "decrement", title: "Held", tip: "Shares held from the pool now", num: true, cell: (locate, td) => zero(td, locate.decrement) },
      ]),
      { id: "rate", title: "Rate", tip: "Fee, percent a year", num: true, cell: (locate) => percent(feeOf(locate)) },
      { id: "reason", title: "Why", cell: (locate, td) => reason(td, locate) },
      { id: "by", title: "Asked by", cell: (locate) => asker(locate) },
      { id: "id", title: "Id", cell: (locate) => locate.id },
    ];
    return new LiveTable({ label: queue ? "Waiting for a person" : "All locates", columns, key: ({ id }) => id, mark: (tr, { state }) => (tr.dataset.state = state) });
  }
}

/** Oldest first within priority; ids are in the order in which requests came. */
const before = (one, other) => priorityOf(other) - priorityOf(one) || one.id.length - other.id.length || (one.id < other.id ? -1 : 1);

function zero(td, value) {
  td.classList.toggle("zero", !value);
  return shares(value);
}

function stateCell(td, state) {
  td.className = `state ${state}`;
  return stateText(state);
}

function named(td, { security, asked_as: as }) {
  td.title = as === security ? "" : `Asked for as ${as}`;
  return security;
}

/** Why it waits or was refused; a question that was asked comes first. */
function reason(td, locate) {
  const asked = question(locate);
  td.classList.toggle("asked", Boolean(asked));
  td.title = locate.remark;
  if (asked) return `? ${asked}`;
  const why = locate.reason ? words(locate.reason) : "";
  return LIVE.includes(locate.state) && !why ? "" : [why, locate.remark].filter(Boolean).join(": ");
}
