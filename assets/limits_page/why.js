// Why a limit is what it is: every input with its weight, its share and its rows, down to the expression that makes the number.

import { make } from "../grid/dom.js";
import { sentence, shares } from "../page/words.js";

/** The address of an owner's limits in a security over time. */
export const overTime = ({ scope, owner, security }) => `/history?${new URLSearchParams({ view: "limits", scope, owner, sec: security })}`;

/** `told`: the API's answer; `side`: long or short. */
export function why(told, side, choose) {
  const { explanation, rules } = told[`${side}_because`];
  const tab = (name) => make("button", { type: "button", "data-side": name, "aria-pressed": String(name === side), onclick: () => choose(name) }, `${sentence(name)} ${shares(told[name])}`);
  const known = Object.entries(rules).map(([name, version]) => `${name} v${version}`).join(", ");
  return [
    make("header", {}, make("h2", {}, `Why ${shares(told[side])}?`, make("small", {}, ` ${told.owner} · ${told.security}`)),
      make("div", { class: "tools set", role: "group", "aria-label": "Which limit" }, tab("short"), tab("long"))),
    told.stale ? make("p", { class: "lead bad" }, "▲ Feeds are late: nothing is approved until they are back.") : "",
    made(explanation),
    make("p", { class: "lead sub" }, `On ${explanation.date}, by the rules ${known}.`),
  ];
}

function made({ title, description, inputs, expression, total, value }) {
  const some = inputs.filter(({ quantity, share, weight }) => share || (quantity && weight === null));
  const none = inputs.filter((input) => !some.includes(input));
  const heads = ["Input", "Shares", "×", "Share", "By rule"].map((name, i) => make("th", { scope: "col", class: i > 0 && i < 4 ? "num" : "" }, name));
  const whole = (label, number, note) => make("tr", { class: "sum" }, make("th", { scope: "row", colspan: 3 }, label), make("td", { class: "num" }, shares(number)), make("td", { class: "sub" }, note));
  const sums = expression && value !== total ? [whole("Total", total, ""), whole(title, value, expression)] : [whole(title, value, "")];
  return make("section", { class: "made" }, make("h3", {}, title, make("small", {}, ` ${description}`)),
    make("table", { "aria-label": title }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...some.map(line), ...sums)),
    none.length ? make("p", { class: "lead sub" }, `Nothing comes from: ${none.map(({ title: name }) => name).join(", ")}.`) : "", ...some.flatMap(inside));
}

function line({ title, kind, quantity, weight, share, rule }) {
  return make("tr", {}, make("th", { scope: "row" }, title, make("small", {}, ` ${kind}`)), make("td", { class: "num" }, shares(quantity)),
    make("td", { class: "num" }, weight === null ? "" : String(weight)), make("td", { class: `num ${share < 0 ? "bad" : ""}` }, weight === null ? "" : shares(share)),
    make("td", { class: "sub words", title: rule?.note ?? "" }, rule ? `${rule.id} v${rule.version}${rule.note ? `: ${rule.note}` : ""}` : ""));
}

/** The rows or the calculation that an input is from, folded. */
function inside({ name, title, rows, calculation, quantity }) {
  if (calculation) return [make("details", { "data-of": name }, make("summary", {}, `${title}: how it is made`), made(calculation))];
  if (!rows.length) return [];
  const heads = ["Book", "Client", "Unit", "Depot", "Kind", "TD", "SD", "Gives"].map((head, i) => make("th", { scope: "col", class: i > 4 ? "num" : "" }, head));
  const body = rows.map((row) => make("tr", {}, make("th", { scope: "row" }, row.book), ...[row.client, row.aggregation_unit, row.depot, row.kind].map((text) => make("td", {}, text)),
    ...[row.td, row.sd, row.gives].map((number) => make("td", { class: "num" }, shares(number)))));
  const label = `${title}: ${shares(quantity)} from ${shares(rows.length)} ${rows.length === 1 ? "row" : "rows"}`;
  return [make("details", { "data-of": name }, make("summary", {}, label), make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body)))];
}
