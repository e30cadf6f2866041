// What a version would change on the live positions: in total, and security by security.

import { make } from "../grid/dom.js";
import { NONE, quantity } from "../grid/formats.js";
import { moment } from "./shapes.js";

const number = (value) => (value === null || value === undefined ? NONE : quantity(value));

/** A change, with its sign and an arrow: up and down are told apart without colour. */
function delta(before, after) {
  if (before === null || after === null || before === undefined || after === undefined) return make("td", { class: "num" }, NONE);
  const change = after - before;
  if (change === 0) return make("td", { class: "num zero" }, "0");
  return make("td", { class: `num ${change > 0 ? "up" : "down"}` }, `${change > 0 ? "▲ +" : "▼ −"}${quantity(Math.abs(change))}`);
}

const head = (...names) => make("thead", {}, make("tr", {}, ...names.map(([name, number]) => make("th", { scope: "col", class: number ? "num" : "" }, name))));

/**
 * `impact`: as `answers.impact` gives it; `calculation`: "" for all; `inventory(code)`: the address of a security's own page;
 * `again`: the button that tests again, for where only sums were kept.
 */
export function impactView(impact, { calculation, onCalculation, inventory, again }) {
  const detail = impact.securities ? securities(impact, calculation, onCalculation, inventory) : kept(again);
  return make("div", { class: "impact" }, summary(impact), make("div", { class: "panes" },
    make("div", { class: "left" }, totals(impact, calculation, onCalculation), underWater(impact, inventory), locates(impact, inventory)), detail));
}

const kept = (again) =>
  make("section", { id: "securities", class: "nothing" }, make("p", {}, "These are the sums of the last test. Positions have moved since."), again);


function summary(impact) {
  const { water } = impact;
  const fact = (label, value, kind = "") => make("div", { class: `fact ${kind}` }, make("small", {}, label), make("b", {}, value));
  return make("div", { class: "facts" },
    fact("Securities changed", quantity(impact.securities_changed ?? 0)),
    fact("Under water", `${water ? "▼ " : ""}${quantity(water)}`, water ? "bad" : ""),
    fact("Live locates affected", quantity(liveLocates(impact).length), liveLocates(impact).length ? "warn" : ""),
    fact("Rows read", quantity(impact.rows_read ?? NaN)),
    fact("Took", impact.took_ms === undefined ? NONE : `${quantity(impact.took_ms)} ms`),
    fact("As of, UTC", moment(impact.as_of_ns) || NONE));
}

function totals(impact, calculation, onCalculation) {
  const names = Object.keys(impact.totals ?? {});
  const rows = names.map((name) => {
    const { before, after } = impact.totals[name];
    const choose = make("button", { type: "button", class: "link", "aria-pressed": String(name === calculation), title: "Only securities where this changes",
      onclick: () => onCalculation(name === calculation ? "" : name) }, name);
    return make("tr", { class: name === calculation ? "sel" : "" }, make("th", { scope: "row" }, choose), make("td", { class: "num" }, number(before)),
      make("td", { class: "num" }, number(after)), delta(before, after));
  });
  const body = rows.length ? rows : [make("tr", {}, make("td", { colspan: 4, class: "nothing" }, "No total changes."))];
  return make("section", { id: "totals" }, make("h3", {}, "Total over all securities"),
    make("table", {}, head(["Calculation"], ["Before", 1], ["After", 1], ["Change", 1]), make("tbody", {}, ...body)));
}

function underWater(impact, inventory) {
  const found = impact.under_water;
  if (!found) return "";
  if (!found.length) {
    return make("section", { id: "water" }, make("h3", {}, "Under water"), make("p", { class: "nothing" }, "No security would have less than live locates hold."));
  }
  const rows = found.map((each) => make("tr", {}, make("th", { scope: "row" }, make("a", { href: inventory(each.security) }, each.name || each.security)),
    make("td", { class: "num" }, number(each.remaining_before)), make("td", { class: "num neg" }, number(each.remaining_after)), make("td", { class: "num" }, number(each.located))));
  return make("section", { id: "water" }, make("h3", { class: "bad" }, `▼ Under water: ${found.length}`),
    make("table", {}, head(["Security"], ["Left before", 1], ["Left after", 1], ["Located", 1]), make("tbody", {}, ...rows)));
}

/** Live locates of securities that would be under water, wherever the answer carries them. */
function liveLocates(impact) {
  return impact.locates ?? (impact.under_water ?? []).flatMap((each) => (each.locates ?? []).map((locate) => ({ security: each.security, name: each.name, ...locate })));
}

function locates(impact, inventory) {
  const found = liveLocates(impact);
  if (!found.length) return "";
  const rows = found.map((each) => make("tr", {}, make("th", { scope: "row" }, each.id ?? ""), make("td", {}, each.client ?? ""),
    make("td", {}, make("a", { href: inventory(each.security) }, each.name || each.security)), make("td", { class: "num" }, number(each.quantity ?? each.approved))));
  return make("section", { id: "locates" }, make("h3", {}, `Live locates affected: ${found.length}`),
    make("table", {}, head(["Locate"], ["Client"], ["Security"], ["Shares", 1]), make("tbody", {}, ...rows)));
}

function securities(impact, calculation, onCalculation, inventory) {
  const all = impact.securities;
  const rows = all.flatMap((each) =>
    Object.entries(each.changes ?? {}).filter(([name]) => !calculation || name === calculation).map(([name, change], i) =>
      make("tr", { class: i ? "more" : "" }, make("th", { scope: "row" }, i ? make("span", { class: "spoken" }, each.name) : make("a", { href: inventory(each.security), title: "Open in the inventory" }, each.name || each.security)),
        make("td", {}, i ? "" : each.market), make("td", {}, name), make("td", {}, change.day === undefined || change.day === null ? "" : `SD${change.day}`),
        make("td", { class: "num" }, number(change.before)), make("td", { class: "num" }, number(change.after)), delta(change.before, change.after))),
  );
  const clear = calculation ? make("button", { type: "button", onclick: () => onCalculation("") }, `${calculation} ✕`) : "";
  const cut = (impact.securities_changed ?? 0) > all.length ? make("small", {}, ` the ${quantity(all.length)} largest of ${quantity(impact.securities_changed)}`) : "";
  const body = rows.length ? rows : [make("tr", {}, make("td", { colspan: 7, class: "nothing" }, "No security changes."))];
  return make("section", { id: "securities", class: "long" }, make("h3", {}, "Securities, largest change first", cut, clear),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Changes by security" },
      make("table", {}, head(["Security"], ["Mkt"], ["Calculation"], ["Day"], ["Before", 1], ["After", 1], ["Change", 1]), make("tbody", {}, ...body))));
}
