// A view's whole state, kept in the page's address: a reload, the browser's back and a colleague's link show the same.

import { readPlace, writePlace } from "./drill.js";
import * as layouts from "./layout.js";

/** In the place of a saved view's id: as the desk shows it, though a page without anything in its address opens with a view. */
export const PLAIN = "-";

const list = (text) => (text ? text.split(",") : []);

/** Parts of the state that are lists in JSON; what somebody has spoilt by hand is as good as not there. */
function parts(text, sound) {
  try {
    const value = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? value.filter(sound) : [];
  } catch {
    return [];
  }
}

const isText = (value) => typeof value === "string";
const isPath = (path) => Array.isArray(path) && path.every(isText);

export function read(query = window.location.search) {
  const given = new URLSearchParams(query);
  return {
    text: given.get("q") ?? "",
    markets: list(given.get("m")),
    temperatures: list(given.get("t")),
    changedToday: given.get("today") === "1",
    where: parts(given.get("f"), (each) => Array.isArray(each) && each.length === 3).map(([column, op, value]) => ({ column, op, value })),
    sort: list(given.get("sort")).map((key) => {
      const at = key.lastIndexOf(":");
      return at < 0 ? [key, "asc"] : [key.slice(0, at), key.slice(at + 1) === "desc" ? "desc" : "asc"];
    }),
    groups: list(given.get("group")),
    depth: Math.max(0, Math.trunc(Number(given.get("depth"))) || 0),
    toggled: parts(given.get("open"), isPath),
    pivot: given.get("pivot") ?? "",
    measure: given.get("measure") ?? "",
    /** null: as the table has it. */
    totals: given.has("totals") ? given.get("totals") === "1" : null,
    formats: parts(given.get("fmt"), (each) => Array.isArray(each) && each.length === 4).map(([column, op, value, look]) => ({ column, op, value, look })),
    layout: layouts.fromQuery(given),
    selected: given.get("sec") ?? "",
    row: Math.max(0, Math.trunc(Number(given.get("row"))) || 0),
    place: readPlace(given),
    view: given.get("view") ?? "",
    theme: given.get("theme") ?? "",
  };
}

export const sortText = (sort) => sort.map((key) => key.join(":")).join(",");

/** What of the state is the view, as a query: this is what is saved under a name. */
export function viewQuery(state) {
  const query = new URLSearchParams();
  const set = (name, value) => value && query.set(name, value);
  const setList = (name, value) => value.length && query.set(name, JSON.stringify(value));
  set("q", state.text);
  set("m", state.markets.join(","));
  set("t", state.temperatures.join(","));
  set("today", state.changedToday ? "1" : "");
  setList("f", state.where.map(({ column, op, value }) => [column, op, value]));
  set("sort", sortText(state.sort));
  set("group", state.groups.join(","));
  set("depth", state.depth ? String(state.depth) : "");
  setList("open", state.toggled);
  set("pivot", state.pivot);
  set("measure", state.pivot && state.measure);
  if (state.totals !== null) query.set("totals", state.totals ? "1" : "0");
  setList("fmt", state.formats.map(({ column, op, value, look }) => [column, op, value, look]));
  layouts.toQuery(state.layout, set);
  return query;
}

function queryOf(state) {
  const query = viewQuery(state);
  const set = (name, value) => value && query.set(name, value);
  set("sec", state.selected);
  set("row", state.row ? String(state.row) : "");
  if (state.selected) writePlace(query, state.place);
  set("view", state.view);
  set("theme", state.theme);
  return query.toString();
}

/**
 * Put the state into the address: with `push` as a step that the browser's back undoes. `own`: the layout of columns is this
 * person's, not that of a link somebody sent; `place`: {top, left}, how far the grid is scrolled, for a reload and for back.
 */
export function write(state, { push = false, own = true, place } = {}) {
  const text = queryOf(state);
  const address = text ? `?${text}` : window.location.pathname;
  const memory = { own, place };
  if (push && text !== window.location.search.slice(1)) window.history.pushState(memory, "", address);
  else window.history.replaceState(memory, "", address);
}

/** The filter of the wire; `but`: a column whose own conditions are left out. What is not used is not said. */
export function filter(state, but = "") {
  const where = state.where.filter(({ column }) => column !== but);
  return {
    text: state.text,
    markets: state.markets,
    temperatures: state.temperatures,
    changed_today: state.changedToday,
    ...(where.length ? { where } : {}),
  };
}
