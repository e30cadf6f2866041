// What a version would have decided on the requests for locates of a period, against what was decided.

import { make } from "../grid/dom.js";
import { NONE, quantity } from "../grid/formats.js";
import { sentence, words } from "../page/words.js";
import { moment } from "./shapes.js";

const cell = (value, kind = "") => make("td", { class: `num ${value ? kind : "zero"}` }, quantity(value));
const head = (...names) => make("thead", {}, make("tr", {}, ...names.map(([name, numeric]) => make("th", { scope: "col", class: numeric ? "num" : "" }, name))));
const table = (columns, rows) => make("table", {}, head(...columns), make("tbody", {}, ...rows));

/** Whether a document's text says anything of locates. */
export const decidesLocates = (text) => /^(decisions|decrements)\s*:/m.test(text ?? "");

/**
 * `run`: the API's answer, or null before it was asked for; `period`: {since, until}, days or ""; `onRun(period)`; `onFile(period)`: all
 * lines as CSV; `locates(id)`: the address of a request's own page.
 */
export function dryRunView({ run, period, onRun, onFile, locates }) {
  const shown = run ? [summary(run), make("div", { class: "panes" }, make("div", { class: "left", tabindex: 0, role: "region", "aria-label": "Sums" }, sums(run), states(run), rules(run)), lines(run, locates))] : [];
  const nothing = make("p", { class: "nothing" }, "Each request of the period is judged again by this version, on the pool, the terms and the reference data that it found then.");
  return make("div", { class: `impact dry-run ${run ? "" : "unasked"}` }, form(period, run, onRun, onFile), ...(run ? shown : [nothing]));
}

/** The last seven days, where none are said. */
function daysOf({ since, until }) {
  const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
  return { since: since || day(6), until: until || day(0) };
}

function form(period, run, onRun, onFile) {
  const day = (name, label, value) => [make("label", { for: `dry-${name}` }, label), make("input", { type: "date", id: `dry-${name}`, name, value })];
  const { since, until } = daysOf(period);
  const body = make("form", { class: "tools", "aria-label": "Period" }, ...day("since", "From (UTC)", since), ...day("until", "to", until),
    make("button", { type: "submit", class: "primary", "data-step": "dry-run" }, run ? "Run again" : "Dry run"),
    run?.differ ? make("button", { type: "button", id: "dry-csv", onclick: () => onFile(given(body)) }, "Lines as CSV") : "");
  body.addEventListener("submit", (event) => {
    event.preventDefault();
    onRun(given(body));
  });
  return body;
}

const given = (form) => Object.fromEntries(new FormData(form));

function summary(run) {
  const { reviews } = run;
  const fact = (label, value, kind = "", title = "") => make("div", { class: `fact ${kind}`, title }, make("small", {}, label), make("b", {}, value));
  const change = (was, would) => `${quantity(was)} → ${quantity(would)}`;
  return make("div", { class: "facts", role: "status" },
    fact("Requests", quantity(run.requests)),
    fact("Would differ", `${run.differ ? "! " : ""}${quantity(run.differ)}`, run.differ ? "warn" : ""),
    fact("Left to a person", change(reviews.was, reviews.would)),
    fact("Person and rules alike", reviews.decided ? `${quantity(reviews.decided_alike)} of ${quantity(reviews.decided)}` : NONE, "", "Requests on which a person decided later, and to which the rules would have given as much"),
    run.unknown ? fact("Not judged", quantity(run.unknown), "", "Kept without the evidence to judge them by") : "",
    run.complete ? "" : fact("Read to, UTC", moment(run.until, { seconds: true }), "bad", "The period is too long to be read in time: ask for a shorter one"));
}

function sums(run) {
  const { was, would } = run.total;
  const row = (name, key) => make("tr", {}, make("th", { scope: "row" }, name), cell(was[key]), cell(would[key]), delta(would[key] - was[key]));
  return make("section", { id: "dry-sums" }, make("h3", {}, "Shares"), table([[""], ["Was", 1], ["Would be", 1], ["Change", 1]],
    [row("Requested", "requested"), row("Approved", "approved"), row("Taken from pools", "decrement")]));
}

/** With its sign and an arrow: up and down are told apart without colour. */
function delta(change) {
  if (!change) return make("td", { class: "num zero" }, "0");
  return make("td", { class: `num ${change > 0 ? "up" : "down"}` }, `${change > 0 ? "▲ +" : "▼ −"}${quantity(Math.abs(change))}`);
}

function states(run) {
  const rows = run.states.map((each) => make("tr", { class: each.from_state === each.to_state ? "same" : "" }, make("th", { scope: "row" }, sentence(each.from_state)), make("td", {}, `→ ${words(each.to_state)}`),
    cell(each.was.requests), cell(each.was.requested), cell(each.was.approved), cell(each.would.approved)));
  return make("section", { id: "dry-states" }, make("h3", {}, "From what was to what would have been"),
    table([["Was"], ["Would be"], ["Requests", 1], ["Shares", 1], ["Approved", 1], ["Would be", 1]], rows));
}

function rules(run) {
  const rows = run.rules.map((each) => make("tr", {}, make("th", { scope: "row", title: each.rule }, each.rule), make("td", { class: "num" }, `v${each.version}`),
    cell(each.was.requests), cell(each.would.requests), cell(each.was.approved), cell(each.would.approved)));
  return make("section", { id: "dry-rules" }, make("h3", {}, "By rule"),
    table([["Rule"], ["Version", 1], ["Decided", 1], ["Would", 1], ["Approved", 1], ["Would", 1]], rows));
}

/** What was decided, how much, why and by which rule or whom; cut where there is no room, whole in the tip. */
function outcome(each) {
  if (!each) return make("td", {}, NONE);
  const what = `${words(each.state)}${each.approved ? ` ${quantity(each.approved)}` : ""}`;
  const why = `${each.reason ? `${words(each.reason)}, ` : ""}${each.by === "rules" ? each.rule : each.by}`;
  return make("td", { class: "outcome", title: `${what}: ${why}` }, what, make("small", {}, ` ${why}`));
}

function lines(run, locates) {
  const rows = run.lines.map((each) => make("tr", {}, make("th", { scope: "row" }, make("a", { href: locates(each.id), title: "Open the request" }, each.id)), make("td", {}, each.client), make("td", {}, each.security),
    cell(each.requested), outcome(each.was), outcome(each.would), outcome(each.later), make("td", {}, moment(each.at))));
  const cut = run.differ > rows.length ? make("small", {}, ` first ${quantity(rows.length)} of ${quantity(run.differ)}`) : "";
  const body = rows.length ? rows : [make("tr", {}, make("td", { colspan: 8, class: "nothing" }, "Every request would have been decided as it was."))];
  return make("section", { id: "dry-lines", class: "long" }, make("h3", {}, "Requests that would differ, oldest first", cut),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Requests that would differ" },
      table([["Request"], ["Client"], ["Security"], ["Asked for", 1], ["Was"], ["Would be"], ["Later"], ["Asked, UTC"]], body)));
}
