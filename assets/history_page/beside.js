// A past moment beside now: every number and every row of a security, or somebody's limits in it; then, now, and the difference.

import { make } from "../grid/dom.js";
import { NONE } from "../grid/formats.js";
import { sentence, shares } from "../page/words.js";

const LIMIT = 500;

/** What differs, or (`all`) everything: [{group, name, then, now}], numbers as they are kept. */
export function differences(then, now, day, titles, all) {
  const found = [];
  const add = (group, name, was, is, scale = 1) => {
    if (all ? was || is : was !== is) found.push({ group, name, then: was === null ? null : was / scale, now: is === null ? null : is / scale });
  };
  const both = (one, other) => [...new Set([...Object.keys(one), ...Object.keys(other)])];
  for (const name of both(then.calculations, now.calculations)) {
    const { title = sentence(name), scale = 1 } = titles.get(name) ?? {};
    add("Numbers", title, then.calculations[name]?.[day] ?? null, now.calculations[name]?.[day] ?? null, scale);
  }
  for (const name of both(then.terms, now.terms)) add("Terms", sentence(name), then.terms[name]?.[day] ?? 0, now.terms[name]?.[day] ?? 0);
  for (const name of both(then.decided, now.decided)) add("Decisions", sentence(name), then.decided[name] ?? 0, now.decided[name] ?? 0);
  const rows = (told) => new Map(told.rows.map((row) => [[row.kind, row.book, row.depot].filter(Boolean).join(" · "), row]));
  const [before, after] = [rows(then), rows(now)];
  for (const key of new Set([...before.keys(), ...after.keys()])) add("Rows", key, before.get(key)?.projected[day] ?? 0, after.get(key)?.projected[day] ?? 0);
  return found;
}

/** The table of a security. `told`: {then, now}; `toggle`: shows everything, or what differs. */
export function besides(told, day, titles, all, toggle) {
  const found = differences(told.then, told.now, day, titles, all);
  const shown = found.slice(0, LIMIT);
  const button = make("button", { type: "button", "aria-pressed": String(all), onclick: toggle }, "Also what is the same");
  const doubt = told.then.exact ? "" : make("p", { class: "lead warn" }, `▲ Something may be missing of then: ${told.then.gaps.map(({ why }) => why).join("; ")}`);
  const more = found.length > LIMIT ? make("p", { class: "lead sub" }, `${found.length - LIMIT} more are not shown.`) : "";
  const body = shown.length ? table(shown) : make("p", { class: "nothing" }, "Nothing differs.");
  const from = `SD${day} · place ${told.then.place.toLocaleString("en-US")} · ${told.then.events.toLocaleString("en-US")} events read`;
  return [header(told.then.as_of, from, button), doubt, body, more];
}

/** The table of somebody's limits. `then`, `now`: answers of the history, of which the first numbers and the last ones are meant. */
export function limitsBeside(at, then, now) {
  const number = ({ points }, line, which) => points.filter(({ calculation, day }) => calculation === line.calculation && day === line.day).at(which)?.value ?? null;
  const found = now.lines.map((line) => ({ group: `SD${line.day}`, name: line.title, then: number(then, line, 0), now: number(now, line, -1) }));
  found.sort((one, other) => one.group.localeCompare(other.group));
  return [header(at, `${now.owner} in ${now.security} · as it was recorded then, and as it is`, ""), table(found)];
}

const header = (at, from, tools) => make("header", {}, make("h2", {}, `${clock(at)} beside now`, make("small", {}, ` ${from}`)), make("div", { class: "tools" }, tools));

function table(found) {
  const heads = ["", "Then", "Now", "Difference"].map((text, at) => make("th", { scope: "col", class: at && "num" }, text));
  return make("table", { "aria-label": "Then and now" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...found.flatMap((each, at) => lines(each, found[at - 1]))));
}

function lines({ group, name, then, now }, before) {
  const change = (now ?? 0) - (then ?? 0);
  const number = (value, extra = "") => make("td", { class: `num ${value ? "" : "zero"} ${extra}` }, value === null ? NONE : shares(value));
  const sign = change > 0 ? "▲ +" : change < 0 ? "▼ " : "";
  const row = make("tr", {}, make("th", { scope: "row" }, name), number(then), number(now), make("td", { class: `num ${change ? (change < 0 ? "bad" : "more") : "zero"}` }, `${sign}${shares(change)}`));
  return before?.group === group ? [row] : [make("tr", { class: "group" }, make("th", { scope: "colgroup", colspan: 4 }, group)), row];
}

const clock = (text) => text.slice(0, 19).replace("T", " ");
