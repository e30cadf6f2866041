// What a version would change on the live positions: in total, and security by security.

import { make } from "../grid/dom.js";
import { NONE, quantity, rate } from "../grid/formats.js";
import { moment } from "./shapes.js";

/** How a calculation's whole number is read, by its unit: money is kept in hundredths, a share of something in hundredths of a percent. */
const UNITS = {
  shares: { text: quantity, label: "shares" },
  money: { text: (value) => rate(value / 100), label: "own currency" },
  reporting: { text: (value) => rate(value / 100), label: "reporting currency" },
  basis_points: { text: (value) => `${rate(value / 100)}%`, label: "percent" },
};

const unitOf = (impact, calculation) => UNITS[impact.totals?.[calculation]?.unit] ?? UNITS.shares;
const known = (value) => value !== null && value !== undefined;
const number = (value, unit = UNITS.shares) => (known(value) ? unit.text(value) : NONE);
const cell = (value, unit, kind = "") => make("td", { class: `num ${kind}` }, number(value, unit));

/** A change, with its sign and an arrow: up and down are told apart without colour. */
function delta(before, after, unit) {
  if (!known(before) || !known(after)) return make("td", { class: "num" }, NONE);
  const change = after - before;
  if (change === 0) return make("td", { class: "num zero" }, "0");
  return make("td", { class: `num ${change > 0 ? "up" : "down"}` }, `${change > 0 ? "▲ +" : "▼ −"}${unit.text(Math.abs(change))}`);
}

const head = (...names) => make("thead", {}, make("tr", {}, ...names.map(([name, numeric]) => make("th", { scope: "col", class: numeric ? "num" : "" }, name))));
const table = (columns, rows) => make("table", {}, head(...columns), make("tbody", {}, ...rows));

/**
 * `impact`: as `answers.impact` gives it; `calculation`: "" for all; `inventory(code)`: the address of a security's own page;
 * `again`: the button that tests again, for where only sums were kept.
 */
export function impactView(impact, { calculation, onCalculation, inventory, again }) {
  const detail = impact.securities ? securities(impact, calculation, onCalculation, inventory) : kept(again);
  return make("div", { class: "impact" }, summary(impact), make("div", { class: "panes" },
    make("div", { class: "left", tabindex: 0, role: "region", "aria-label": "Totals" }, underWater(impact, inventory), locates(impact, inventory), limits(impact, inventory), totals(impact, calculation, onCalculation)), detail));
}

const kept = (again) =>
  make("section", { id: "securities", class: "nothing" }, make("p", {}, "These are the sums of the last test. Positions have moved since."), again);

function summary(impact) {
  const live = liveLocates(impact).length;
  const fact = (label, value, kind = "") => make("div", { class: `fact ${kind}` }, make("small", {}, label), make("b", {}, value));
  return make("div", { class: "facts" },
    fact("Securities changed", quantity(impact.securities_changed ?? 0)),
    fact("Under water", `${impact.water ? "▼ " : ""}${quantity(impact.water)}`, impact.water ? "bad" : ""),
    impact.under_water ? fact("Live locates affected", `${live ? "! " : ""}${quantity(live)}`, live ? "warn" : "") : "",
    fact("Limits overdrawn", `${impact.overdrawn ? "▼ " : ""}${quantity(impact.overdrawn)}`, impact.overdrawn ? "bad" : ""),
    impact.locates ? fact("Requests decided otherwise", `${impact.locates.differ ? "! " : ""}${quantity(impact.locates.differ)} of ${quantity(impact.locates.requests)}`, impact.locates.differ ? "warn" : "") : "",
    fact("Rows read", quantity(impact.rows_read ?? NaN)),
    fact("Took", known(impact.took_ms) ? `${quantity(impact.took_ms)} ms` : NONE),
    fact("Positions of, UTC", moment(impact.as_of_ns) || NONE));
}

// what changes stands before what does not
function totals(impact, calculation, onCalculation) {
  const same = ([, total]) => !total.securities && total.before === total.after;
  const found = Object.entries(impact.totals ?? {}).sort((one, other) => same(one) - same(other));
  const rows = found.map(([name, total]) => {
    const unit = unitOf(impact, name);
    const choose = make("button", { type: "button", class: "link", "aria-pressed": String(name === calculation), title: `In ${unit.label}. Show only securities where it changes`,
      onclick: () => onCalculation(name === calculation ? "" : name) }, name);
    return make("tr", { class: name === calculation ? "sel" : same([name, total]) ? "same" : "" }, make("th", { scope: "row" }, choose), cell(total.before, unit), cell(total.after, unit),
      delta(total.before, total.after, unit), cell(total.securities, UNITS.shares, total.securities ? "" : "zero"));
  });
  const body = rows.length ? rows : [make("tr", {}, make("td", { colspan: 5, class: "nothing" }, "No total changes."))];
  return make("section", { id: "totals" }, make("h3", {}, "Total over all securities"),
    table([["Calculation"], ["Before", 1], ["After", 1], ["Change", 1], ["Securities", 1]], body));
}

function underWater(impact, inventory) {
  const found = impact.under_water;
  if (!found) return "";
  if (!found.length) return make("section", { id: "water" }, make("p", { class: "nothing" }, "No security would have less than live locates hold."));
  const rows = found.map((each) => make("tr", {}, make("th", { scope: "row" }, security(each, inventory)), make("td", {}, each.market), make("td", {}, each.side),
    cell(each.remaining_before), cell(each.remaining_after, undefined, "neg"), cell(each.located)));
  return make("section", { id: "water" }, make("h3", { class: "bad" }, `▼ Under water: ${found.length}`),
    table([["Security"], ["Mkt"], ["Side"], ["Left before", 1], ["Left after", 1], ["Located", 1]], rows));
}

const security = (each, inventory) => make("a", { href: inventory(each.security), title: "Open in the inventory" }, each.name || each.security);

/** Live locates of securities that would be under water. */
const liveLocates = (impact) =>
  (impact.under_water ?? []).flatMap((each) => (each.locates ?? []).map((locate) => ({ ...locate, security: each.security, name: each.name })));

function locates(impact, inventory) {
  const found = liveLocates(impact);
  if (!found.length) return "";
  const rows = found.map((each) => make("tr", {}, make("th", { scope: "row" }, each.id), make("td", {}, each.client), make("td", {}, each.type), make("td", {}, security(each, inventory)), cell(each.decrement)));
  return make("section", { id: "locates" }, make("h3", {}, `Live locates affected: ${found.length}`),
    table([["Locate"], ["Client"], ["Type"], ["Security"], ["Holds", 1]], rows));
}

function limits(impact, inventory) {
  const found = impact.limits ?? [];
  if (!found.length) return "";
  const rows = found.map((each) => make("tr", {}, make("th", { scope: "row" }, `${each.scope} ${each.owner}`), make("td", {}, security(each, inventory)), make("td", {}, each.calculation),
    cell(each.before), cell(each.after, undefined, "neg")));
  return make("section", { id: "limits" }, make("h3", { class: "bad" }, `▼ Limits overdrawn: ${found.length}`),
    table([["Whose"], ["Security"], ["Limit"], ["Before", 1], ["After", 1]], rows));
}

function securities(impact, calculation, onCalculation, inventory) {
  const all = impact.securities;
  const rows = all.flatMap((each) => {
    const changes = Object.entries(each.changes).filter(([name]) => !calculation || name === calculation);
    return changes.map(([name, change], i) => {
      const unit = unitOf(impact, name);
      const first = i ? make("span", { class: "spoken" }, each.name) : security(each, inventory);
      return make("tr", { class: i ? "more" : "" }, make("th", { scope: "row" }, first), make("td", {}, i ? "" : each.market), make("td", {}, name), make("td", {}, `SD${change.day}`),
        cell(change.before, unit), cell(change.after, unit), delta(change.before, change.after, unit));
    });
  });
  const clear = calculation ? make("button", { type: "button", onclick: () => onCalculation("") }, `${calculation} ✕`) : "";
  const cut = impact.securities_changed > all.length ? make("small", {}, ` ${quantity(all.length)} of ${quantity(impact.securities_changed)}`) : "";
  const body = rows.length ? rows : [make("tr", {}, make("td", { colspan: 7, class: "nothing" }, "No security changes."))];
  return make("section", { id: "securities", class: "long" }, make("h3", {}, "Securities, largest change first", cut, clear),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Changes by security" },
      table([["Security"], ["Mkt"], ["Calculation"], ["Day"], ["Before", 1], ["After", 1], ["Change", 1]], body)));
}
