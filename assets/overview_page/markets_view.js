// The same numbers market by market; every one leads to the securities that it is the sum of.

import { LiveTable, link } from "../page/table.js";
import { brief, day, inventory, whole } from "./words.js";

export class MarketsView {
  constructor(host) {
    this.host = host;
  }

  show({ currency, measures, markets }) {
    const told = JSON.stringify(measures);
    if (told !== this.told) {
      this.told = told;
      this.table = this.#table(measures, currency);
      this.host.replaceChildren(this.table.table);
      this.host.setAttribute("aria-busy", "false");
    }
    const rows = markets.filter(({ securities }) => securities);
    this.most = measures.map((_, at) => Math.max(1, ...rows.map(({ money }) => money[at])));
    this.table.show([...rows, all(rows, measures)]); // in the order of the markets: a row that moves is not found again
  }

  blank(text) {
    this.told = "";
    this.host.replaceChildren(document.createTextNode(""));
    this.host.setAttribute("aria-busy", "false");
    this.host.title = text;
  }

  #table(measures, currency) {
    const lend = measures.findIndex(({ role }) => role === "lend");
    const left = measures.find(({ role }) => role === "left_short")?.column ?? "";
    const money = measures.map((measure, at) => ({
      id: measure.column, title: measure.title, tip: `${measure.tip} (${day(measure)}, ${currency})`, num: true,
      cell: (row, td) => this.#money(td, row, row.money[at], { sort: `${measure.column}:desc` }, at),
    }));
    const hard = { id: "hard", title: "HTB", tip: `${measures[lend]?.title} of what is hard to borrow (${currency})`, num: true, cell: (row, td) => this.#money(td, row, row.hard[lend], { t: "HTB", sort: `${measures[lend].column}:desc` }) };
    const columns = [
      { id: "market", title: "Market", cell: (row, td) => void link(td, { href: inventory({ m: row.name === ALL ? "" : row.name }), text: row.name }) },
      { id: "securities", title: "Securities", num: true, cell: (row, td) => count(td, row, row.securities, {}) },
      ...money.slice(0, lend + 1), ...(lend < 0 ? [] : [hard]), ...money.slice(lend + 1),
      { id: "negative", title: "Below 0", tip: "Securities of which more is promised than there is", num: true, cell: (row, td) => count(td, row, row.negative, { f: BELOW(left), sort: `${left}:asc` }, "bad") },
      { id: "unpriced", title: "Unpriced", tip: "Securities whose shares no money stands for: no price, or no rate into the reporting currency", num: true, cell: (row, td) => count(td, row, row.unpriced, { sort: "price:asc" }, "warn") },
    ];
    return new LiveTable({ label: "By market", columns, key: (row) => row.name, mark: (tr, row) => tr.classList.toggle("sum", row.name === ALL) });
  }

  #money(td, row, value, asked, at) {
    link(td, { href: inventory({ m: row.name === ALL ? "" : row.name, ...asked }), text: brief(value), title: whole(value), tone: value < 0 ? "bad" : "" });
    if (at !== undefined && row.name !== ALL) td.style.setProperty("--part", `${Math.round((100 * Math.max(0, value)) / this.most[at])}%`);
  }
}

const ALL = "All";

/** A condition of the grid's: what is below zero. */
const BELOW = (column) => column && JSON.stringify([[column, "<", 0]]);

function count(td, row, value, asked, tone = "") {
  link(td, { href: inventory({ m: row.name === ALL ? "" : row.name, ...asked }), text: whole(value), tone: value ? tone : "zero" });
}

const added = (rows, values) => rows.reduce((sum, row) => sum + values(row), 0);

function all(rows, measures) {
  const each = (name) => measures.map((_, at) => added(rows, (row) => row[name][at]));
  return { name: ALL, securities: added(rows, (row) => row.securities), negative: added(rows, (row) => row.negative), unpriced: added(rows, (row) => row.unpriced), money: each("money"), shares: each("shares"), hard: each("hard") };
}
