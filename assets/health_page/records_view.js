// Records that wait, or were set aside: what they are, why, and what a person may do about them.

import { make } from "../grid/dom.js";
import { confirm } from "../page/dialog.js";
import { age } from "../grid/formats.js";
import { count, moment, size } from "./words.js";

const PAGE = 200;
const HANDLERS = ["ops", "admin"];
const RAW = 140;

const WORDS = {
  parked: { none: "Nothing waits: every security, book and counterparty that was named is known.", why: "Unknown", one: "parked record" },
  quarantine: { none: "Nothing is in the quarantine.", why: "Why", one: "quarantined record" },
};

export class RecordsView {
  /** `where`: parked or quarantine. */
  constructor(page, where) {
    this.page = page;
    this.where = where;
    this.records = [];
    this.chosen = new Set();
    this.open = null;
    this.cursor = null;
    this.body = make("tbody");
    this.all = make("input", { type: "checkbox", "aria-label": "Choose all that are shown", onchange: () => this.#chooseAll() });
    const head = ["", "Since", "Feed", "Place", WORDS[where].why, where === "parked" ? "Shares" : "Events", "Record"].map((name, i) =>
      make("th", { scope: "col", class: i === 5 ? "num" : "" }, i ? name : this.all));
    this.table = make("table", { id: "records", "aria-label": `${WORDS[where].one}s` }, make("thead", {}, make("tr", {}, ...head)), this.body);
    this.more = make("button", { type: "button", onclick: () => this.#next() }, "Show more");
    this.none = make("p", { class: "nothing", role: "status" }, WORDS[where].none);
    this.tools = make("div", { class: "tools" });
    this.raw = make("div", { class: "raw", tabindex: 0, role: "region", "aria-label": "Record" });
    this.host = make("div", { class: "records" }, this.tools,
      make("div", { class: "split" }, make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Records" }, this.table, this.none, this.more), this.raw));
    this.body.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Read the first page anew. */
  async load() {
    const limit = Math.max(PAGE, Math.min(1000, this.records.length));
    const told = await this.page.api.records(this.where, { feed: this.page.state.feed, limit });
    this.cursor = told.next_cursor;
    this.#take(told.records);
  }

  async #next() {
    await this.page.attempt(async () => {
      const told = await this.page.api.records(this.where, { feed: this.page.state.feed, limit: PAGE, cursor: this.cursor });
      this.cursor = told.next_cursor;
      this.#take([...this.records, ...told.records]);
    });
  }

  #take(records) {
    this.records = records;
    const ids = new Set(records.map(({ id }) => id));
    this.chosen = new Set([...this.chosen].filter((id) => ids.has(id)));
    if (this.open !== null && !ids.has(this.open)) this.open = null;
    const focused = document.activeElement?.closest?.("tr")?.dataset.id;
    const column = document.activeElement?.tagName;
    const told = JSON.stringify(records.map((record) => [record.id, record.missing]));
    if (told !== this.told) {
      this.body.replaceChildren(...records.map((record) => this.#row(record)));
      this.told = told;
      if (focused) this.body.querySelector(`[data-id="${focused}"] ${column === "BUTTON" ? "button" : "input"}`)?.focus();
    }
    this.none.hidden = records.length > 0;
    this.table.hidden = !records.length;
    this.more.hidden = !this.cursor;
    this.#mark();
    this.#ages();
  }

  #row(record) {
    const box = make("input", { type: "checkbox", "aria-label": `Choose ${place(record)}`, onchange: () => this.#choose(record.id, box.checked) });
    box.checked = this.chosen.has(record.id);
    const why = record.missing?.length ? record.missing.map(({ kind, code }) => make("span", { class: "code" }, make("small", {}, `${kind} `), code)) : [make("span", {}, `${record.reason}: ${record.detail}`)];
    const amount = this.where === "parked" ? count(record.shares.reduce((sum, { shares }) => sum + shares, 0)) : count(record.events);
    const raw = make("button", { type: "button", class: "rawline", title: "All of it", onclick: () => this.#show(record.id) }, line(record));
    return make("tr", { "data-id": record.id },
      make("td", {}, box), make("td", { class: "age", title: record.parked_at ?? record.received_at }, ""), make("td", {}, record.feed),
      make("td", { class: "mono" }, place(record)), make("td", { class: "why", title: record.detail }, ...why), make("td", { class: "num" }, amount), make("td", { class: "mono cut" }, raw));
  }

  #ages() {
    const now = Date.now() + (this.page.skewMs ?? 0);
    this.records.forEach((record, i) => {
      const cell = this.body.children[i]?.querySelector(".age");
      if (cell) cell.textContent = age(now - Date.parse(record.parked_at ?? record.received_at));
    });
  }

  #choose(id, on) {
    this.chosen[on ? "add" : "delete"](id);
    this.#mark();
  }

  #chooseAll() {
    this.chosen = new Set(this.all.checked ? this.records.map(({ id }) => id) : []);
    this.body.querySelectorAll("input").forEach((box) => (box.checked = this.all.checked));
    this.#mark();
  }

  #mark() {
    for (const tr of this.body.children) {
      tr.classList.toggle("sel", Number(tr.dataset.id) === this.open);
      tr.classList.toggle("chosen", this.chosen.has(Number(tr.dataset.id)));
    }
    this.all.checked = this.records.length > 0 && this.chosen.size === this.records.length;
    this.all.indeterminate = this.chosen.size > 0 && !this.all.checked;
    this.#furnish();
    this.#raw();
  }

  #furnish() {
    const { feed } = this.page.state;
    const may = this.page.api.session.roles.some((role) => HANDLERS.includes(role));
    const why = may ? (this.chosen.size ? "" : "Choose records first") : "Only ops or admin may do this";
    const told = JSON.stringify([feed, why, this.chosen.size, this.records.length, Boolean(this.cursor)]);
    if (told === this.furnished) return;
    this.furnished = told;
    const held = this.tools.contains(document.activeElement) ? document.activeElement.dataset.do : null;
    const button = (act, label, reason, danger = false) =>
      make("button", { type: "button", "data-do": act, class: danger ? "danger" : "", "aria-disabled": String(Boolean(reason)), title: reason, onclick: () => (reason ? this.page.say(reason, "bad") : this.#do(act)) }, label);
    const number = this.chosen.size ? ` ${count(this.chosen.size)}` : "";
    const shown = `${count(this.records.length)}${this.cursor ? "+" : ""} ${WORDS[this.where].one}${this.records.length === 1 && !this.cursor ? "" : "s"}${feed ? ` of ${feed}` : ""}`;
    const everything = this.where === "parked" && !feed ? [button("all", "Retry all", may ? (this.records.length ? "" : "Nothing waits") : why)] : [];
    this.tools.replaceChildren(make("span", { class: "sub" }, shown), button("retry", `Retry${number}`, why), ...everything, button("discard", `Discard${number}…`, why, true));
    if (held) this.tools.querySelector(`[data-do="${held}"]`)?.focus();
  }

  async #do(act) {
    const ids = [...this.chosen];
    const { api } = this.page;
    if (act !== "all" && !ids.length) return;
    if (act === "discard") {
      const body = `They will never be applied. It is remembered that you gave them up, with your comment.`;
      const answer = await confirm({ title: `Discard ${count(ids.length)} ${WORDS[this.where].one}${ids.length === 1 ? "" : "s"}?`, body, yes: "Discard", comment: "required", danger: true });
      if (answer === null) return;
      await this.page.attempt(async () => {
        const { discarded } = await api.discard(this.where, ids, answer.comment);
        this.page.say(`${count(discarded)} discarded`, "good");
      });
    } else {
      await this.page.attempt(async () => {
        const { used, left } = await api.retry(this.where, act === "all" ? null : ids);
        const rest = left ? `, ${count(left)} still cannot be used` : "";
        this.page.say(`${count(used)} used${rest}`, left && !used ? "bad" : "good");
      });
    }
    // at once, not with the next answer: nobody is to find chosen what no longer is
    this.chosen.clear();
    this.body.querySelectorAll("input").forEach((box) => (box.checked = false));
    this.#mark();
    await this.page.show();
  }

  #show(id) {
    this.open = this.open === id ? null : id;
    this.#mark();
  }

  /** All of the record that is open, at the side. */
  #raw() {
    const record = this.records.find(({ id }) => id === this.open);
    const told = record ? String(record.id) : "";
    this.raw.hidden = !record;
    if (this.rawTold === told) return;
    this.rawTold = told;
    if (!record) return this.raw.replaceChildren();
    const facts = [["Place", place(record)], ["Reason", record.reason], ["Detail", record.detail], ["Since", moment(record.parked_at ?? record.received_at, 0)],
      ["Events", count(record.events)], ["Size", size(record.raw_bytes)], ...(record.shares ?? []).map(({ security, shares }) => [security, `${count(shares)} shares`])];
    const close = make("button", { type: "button", class: "plain", title: "Esc", onclick: () => this.#show(record.id) }, "Close ✕");
    return this.raw.replaceChildren(make("header", {}, make("h3", {}, place(record)), close),
      make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])), make("pre", {}, pretty(record)));
  }

  escape() {
    if (this.open === null) return false;
    const id = this.open;
    this.#show(id);
    this.body.querySelector(`[data-id="${id}"] button`)?.focus();
    return true;
  }

  #walk(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const row = event.target.closest("tr");
    const to = step && row?.[step];
    if (!to) return;
    event.preventDefault();
    to.querySelector(event.target.tagName === "BUTTON" ? "button" : "input")?.focus();
  }
}

const place = ({ topic, partition, offset }) => `${topic}[${partition}]@${offset}`;

/** The record in one line. */
function line(record) {
  const text = record.raw ?? `${record.raw_bytes} bytes, not text: ${record.raw_base64 ?? ""}`;
  return text.length > RAW ? `${text.slice(0, RAW)}…` : text || "(empty)";
}

/** The record as a person reads it, whole where it is whole. */
function pretty(record) {
  if (record.raw === undefined) return record.raw_base64 ?? "";
  try {
    return JSON.stringify(JSON.parse(record.raw), null, 2);
  } catch {
    return record.raw;
  }
}

