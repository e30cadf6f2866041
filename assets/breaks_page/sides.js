// Both sides of a break: ladders beside each other, the events that made ours, the line that made theirs, and when they agreed.

import { make } from "../grid/dom.js";
import { moment, shares, words } from "../page/words.js";
import { signed } from "./words.js";

export function sidesOf(one, sides, now) {
  if (!sides) return [make("p", { class: "sub" }, "There is nothing to lay side by side.")];
  const differs = (sides.ours.quantity ?? 0) !== (sides.theirs.quantity ?? 0);
  return [
    make("div", { class: "sides-pair" }, side(sides.ours, sides, one, now, false), side(sides.theirs, sides, one, now, differs)),
    agreed(sides, now),
    statement(sides, now),
    events(sides.events, now),
  ].flat();
}

function side({ label, quantity, as_of: at, rows, facts }, { days }, { unit }, now, differs) {
  const head = make("h4", {}, label, make("b", { class: differs ? "num minus" : "num" }, quantity === null ? "" : ` ${shares(quantity)}${unit === "shares" ? "" : ` ${unit}`}`), at ? make("small", {}, ` as of ${moment(at, now)}`) : "");
  const told = facts?.length ? [make("dl", { class: "facts" }, ...facts.flatMap((each) => [make("dt", {}, each.label), make("dd", {}, each.value)]))] : [];
  const table = rows.length ? [make("div", { class: "scroll ladder", role: "region", "aria-label": `Ladder: ${label}`, tabindex: 0 }, ladder(label, rows, days))] : [];
  const none = told.length + table.length ? [] : [make("p", { class: "sub" }, "Nothing is known of this side.")];
  return make("section", { "aria-label": label }, head, ...table, ...told, ...none);
}

/** A row of the ladder is one position; below it, what is expected day by day. */
function ladder(label, rows, days) {
  const heads = ["Settled", ...days.map((day, number) => `SD${number}`), "Later", "Trade date"];
  const head = make("tr", {}, make("th", { scope: "col" }, "Position"), ...heads.map((title, at) => make("th", { scope: "col", class: "num", title: days[at - 1] ?? "" }, title)));
  return make("table", { "aria-label": label }, make("thead", {}, head), make("tbody", {}, ...rows.flatMap(lines)));
}

function lines(row) {
  const net = row.receipt.map((receipt, at) => receipt - row.deliver[at]);
  const name = [row.book, row.position_type, row.client].filter(Boolean).join(" · ");
  const cell = (value, tone = "") => make("td", { class: `num ${value ? tone : "zero"}` }, value ? shares(value) : "0");
  const moves = (title, values, sign) => (values.some(Boolean) ? [make("tr", { class: "moves" }, make("td", {}, title), make("td", {}), ...values.map((value) => make("td", { class: value ? "num" : "num zero" }, value ? signed(sign * value) : "·")), make("td", {}))] : []);
  return [
    make("tr", {}, make("th", { scope: "row", title: `row ${row.row}${row.depot ? ` in ${row.depot}` : ""}` }, name || row.depot, row.sign < 0 ? make("small", {}, " counts against") : ""), cell(row.settled, "strong"), ...row.projected.map((value) => cell(value)), cell(row.projected.at(-1) + (net.at(-1) ?? 0)), cell(row.td)),
    ...moves("receipts", row.receipt, 1), ...moves("deliveries", row.deliver, -1),
  ];
}

function agreed({ last_agreed_at: at, last_agreed_quantity: quantity, last_agreed_text: text }, now) {
  const when = at ? `They last agreed at ${moment(at, now)} UTC${quantity === null ? "" : `, on ${shares(quantity)}`}.` : "They have not agreed as far back as is known.";
  return [make("p", { class: "agreed" }, make("b", {}, when), text ? ` ${text}` : "")];
}

function statement({ statement: of, statement_known: known }, now) {
  if (of) return [make("h4", {}, "The line that made their side"), eventTable([of], now, "Statement")];
  return known ? [] : [make("p", { class: "sub" }, "Their line came before what is still in memory: the archive has it.")];
}

function events(all, now) {
  if (!all.length) return [];
  return [make("h4", {}, `Events that made our side (${shares(all.length)}, newest first)`), make("div", { class: "scroll events", role: "region", "aria-label": "Events that made our side", tabindex: 0 }, eventTable(all, now, "Events"))];
}

function eventTable(all, now, label) {
  const columns = [
    ["At, UTC", (each) => moment(each.at, now)], ["What", (each) => words(each.op ?? "")], ["Quantity", (each) => shares(each.quantity), "num"], ["Book", (each) => each.book], ["Depot", (each) => each.depot], ["Type", (each) => each.position_type],
    ["Settles", (each) => each.settle_date ?? ""], ["Source", (each) => `${each.source} ${each.seq ?? ""}`], ["Topic, partition, offset", (each) => `${each.topic} [${each.partition}] ${each.offset === null ? "–" : each.offset}`, "mono"],
  ];
  return make("table", { "aria-label": label }, make("thead", {}, make("tr", {}, ...columns.map(([title, , tone]) => make("th", { scope: "col", class: tone }, title)))),
    make("tbody", {}, ...all.map((each) => make("tr", {}, ...columns.map(([, text, tone]) => make("td", { class: tone }, text(each) ?? ""))))));
}
