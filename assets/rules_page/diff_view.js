// Two versions beside or under one another. A sign says what happened to a line; colour only says it again.

import { make } from "../grid/dom.js";
import { changedSpan, diffLines, folded } from "./diff.js";

const SIGNS = { same: " ", removed: "−", added: "+", changed: "~" };
const SPOKEN = { removed: "removed: ", added: "added: ", changed: "" };

/** `layout`: split or unified. Folded stretches open with a click. */
export function diffView(before, after, layout) {
  const rows = diffLines(before, after);
  const counts = { added: 0, removed: 0 };
  for (const { kind } of rows) {
    if (kind === "added" || kind === "changed") counts.added++;
    if (kind === "removed" || kind === "changed") counts.removed++;
  }
  if (!counts.added && !counts.removed) return { host: make("p", { class: "nothing" }, "The two versions have the same text."), counts };
  const draw = layout === "unified" ? unified : split;
  const body = make("tbody", {});
  for (const row of folded(rows)) body.append(...(row.fold ? [fold(row, draw, layout)] : draw(row)));
  // widths of their own: a folded stretch, when it is the first row, has none to give
  const columns = layout === "split" ? ["number", "sign", "text", "number", "sign", "text"] : [];
  const table = make("table", { class: `diff ${layout}` }, make("colgroup", {}, ...columns.map((name) => make("col", { class: name }))), body);
  return { host: make("div", { class: "code", tabindex: 0, role: "region", "aria-label": "Differences" }, table), counts };
}

function fold({ fold: count, rows }, draw, layout) {
  const button = make("button", { type: "button" }, `⋯ ${count} equal lines`);
  const row = make("tr", { class: "fold" }, make("td", { colspan: layout === "unified" ? 4 : 6 }, button));
  button.addEventListener("click", () => row.replaceWith(...rows.flatMap(draw)));
  return row;
}

function split(row) {
  const [left, right] = texts(row);
  return [make("tr", { class: row.kind }, ...side("old", row.left === null ? null : row.oldLine, left, row.kind), ...side("new", row.right === null ? null : row.newLine, right, row.kind))];
}

function side(which, line, text, kind) {
  if (line === null) return [make("td", { class: "number" }), make("td", { class: "sign" }), make("td", { class: "void" })];
  const changed = kind === "changed" ? (which === "old" ? "removed" : "added") : kind;
  return [make("td", { class: `number ${which}` }, String(line)), sign(changed, which), make("td", { class: `text ${which}` }, text)];
}

const sign = (kind, which = "") =>
  make("td", { class: `sign ${which}` }, kind === "same" ? "" : SIGNS[kind], kind === "same" ? "" : make("span", { class: "spoken" }, SPOKEN[kind]));

function unified(row) {
  const [left, right] = texts(row);
  const line = (kind, old, now, text) =>
    make("tr", { class: kind }, make("td", { class: "number old" }, old), make("td", { class: "number new" }, now), sign(kind),
      make("td", { class: `text ${kind === "removed" ? "old" : "new"}` }, text));
  if (row.kind === "same") return [line("same", row.oldLine, row.newLine, left)];
  const out = [];
  if (row.left !== null) out.push(line("removed", row.oldLine, "", left));
  if (row.right !== null) out.push(line("added", "", row.newLine, right));
  return out;
}

/** Both texts as elements; in a changed row the piece that differs is underlined. */
function texts(row) {
  if (row.kind !== "changed") return [make("code", {}, row.left ?? ""), make("code", {}, row.right ?? "")];
  const [start, endLeft, endRight] = changedSpan(row.left, row.right);
  const marked = (text, end, tag) => make("code", {}, text.slice(0, start), make(tag, {}, text.slice(start, end)), text.slice(end));
  return [marked(row.left, endLeft, "del"), marked(row.right, endRight, "ins")];
}
