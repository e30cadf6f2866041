// One tile for each number that the rules show of a security: what all of them come to in money, and what of it is hard to borrow.

import { make } from "../grid/dom.js";
import { brief, briefer, day, inventory, whole } from "./words.js";

const LEND = "lend";
const LEFT = "left_short";

export class Tiles {
  constructor(host) {
    this.host = host;
    this.tiles = new Map();
  }

  /** `sums`: the gateway's answer. */
  show(sums) {
    const wanted = tilesOf(sums);
    const told = wanted.map(({ key }) => key).join();
    if (told !== this.told) {
      this.told = told;
      this.tiles = new Map(wanted.map(({ key }) => [key, tile(key)]));
      this.host.replaceChildren(...[...this.tiles.values()].map(({ link }) => link));
    }
    for (const want of wanted) fill(this.tiles.get(want.key), want);
    this.host.setAttribute("aria-busy", "false");
  }

  /** Why there is nothing. */
  blank(text, kind) {
    if (this.told === text) return;
    this.told = text;
    this.host.replaceChildren(make("p", { class: "nothing", role: "status", "data-kind": kind }, text));
    this.host.setAttribute("aria-busy", "false");
  }
}

const total = (parts, values) => parts.reduce((sum, part) => sum + values(part), 0);

function tilesOf({ currency, measures, markets }) {
  const tiles = [];
  measures.forEach((measure, at) => {
    const money = total(markets, (market) => market.money[at]);
    const shares = total(markets, (market) => market.shares[at]);
    const negative = measure.role === LEFT ? total(markets, (market) => market.negative) : 0;
    tiles.push({
      key: measure.column, title: measure.title, when: day(measure), money, currency, tip: `${measure.tip}. ${currency} ${whole(money)}, ${whole(shares)} shares`,
      sub: negative ? `▲ ${whole(negative)} below zero` : `${briefer(shares)} shares`, bad: negative > 0,
      href: inventory(negative ? { f: JSON.stringify([[measure.column, "<", 0]]), sort: `${measure.column}:asc` } : { sort: `${measure.column}:desc` }),
    });
    if (measure.role !== LEND) return;
    const hard = total(markets, (market) => market.hard[at]);
    tiles.push({
      key: `hard ${measure.column}`, title: "Hard to borrow", when: day(measure), money: hard, currency, tip: `${measure.title} of securities that are hard to borrow. ${currency} ${whole(hard)}`,
      sub: money > 0 ? `${((100 * hard) / money).toFixed(1)}% of ${measure.title.toLowerCase()}` : "", href: inventory({ t: "HTB", sort: `${measure.column}:desc` }),
    });
  });
  return tiles;
}

function tile(key) {
  const parts = { title: make("span"), when: make("small"), money: make("b"), currency: make("small"), sub: make("span", { class: "sub" }) };
  const link = make("a", { class: "tile", "data-tile": key }, make("span", { class: "title" }, parts.title, parts.when), make("span", { class: "money" }, parts.money, parts.currency), parts.sub);
  return { link, parts };
}

function fill({ link, parts }, { title, when, money, currency, sub, tip, href, bad }) {
  const texts = { title, when, money: brief(money), currency, sub };
  for (const [name, text] of Object.entries(texts)) if (parts[name].textContent !== text) parts[name].textContent = text;
  parts.sub.classList.toggle("bad", Boolean(bad));
  link.title = tip;
  if (link.getAttribute("href") !== href) link.setAttribute("href", href);
}
