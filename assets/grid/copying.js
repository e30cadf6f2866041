// A range of cells as a table for a spreadsheet: tab-separated text, and HTML in which texts stay texts.

import { quantity } from "./formats.js";
import { DATA } from "./rows.js";

/** The longest range; more is an export. */
export const MOST_ROWS = 10_000;
const FORMULA = /^[=+\-@\t\r]/;
/** Of a cell that is a text whatever stands in it. */
const TEXT = ` style="mso-number-format:'\\@'"`;
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** A text that a spreadsheet takes for a formula is given to it as a text. */
const defused = (text) => (FORMULA.test(text) ? `'${text}` : text);
const oneLine = (text) => text.replace(/[\t\r\n]+/g, " ");
const escaped = (text) => text.replace(/[&<>"]/g, (letter) => ENTITIES[letter]);

/** A cell's value as a spreadsheet should have it: numbers whole and bare, times in ISO, "" for no value. */
function plain(column, value, group) {
  if (column.tree) return group && group.state !== DATA ? defused(oneLine(group.label || "none")) : "";
  if (value === undefined) return "";
  if (column.kind === "text") return defused(oneLine(value));
  if (Number.isNaN(value)) return "";
  return column.age ? new Date(value).toISOString() : String(value);
}

/** `windows`: RowWindows that together hold all rows of the range, in order. Returns {text, html, rows}. */
export function table(windows, range, columns, titled) {
  const shown = columns.slice(range.firstColumn, range.lastColumn + 1);
  const lines = [];
  for (let row = range.firstRow; row <= range.lastRow; row += 1) {
    const window = windows.find((each) => each.at(row) >= 0);
    if (!window) continue;
    const at = window.at(row);
    lines.push(shown.map((column) => plain(column, window.value(column.id, at), window.group(at))));
  }
  const title = (column) => defused(oneLine([column.group, column.header].filter(Boolean).join(" "))); // a pivot's are texts of the data
  const text = [...(titled ? [shown.map(title)] : []), ...lines].map((line) => line.join("\t")).join("\r\n");
  const cell = (value, at) => (shown[at].kind === "number" ? `<td>${value}</td>` : `<td${TEXT}>${escaped(value)}</td>`);
  const head = titled ? `<tr>${shown.map((column) => `<th${TEXT}>${escaped(title(column))}</th>`).join("")}</tr>` : "";
  const html = `<table>${head}${lines.map((line) => `<tr>${line.map(cell).join("")}</tr>`).join("")}</table>`;
  return { text, html, rows: lines.length };
}

export class Copying {
  /** `read(first, count)`: a promise of the RowWindows of rows that are not on screen. `say(text)`. */
  constructor(grid, { read, say }) {
    this.grid = grid;
    this.read = read;
    this.say = say;
    this.ready = null;
    this.titled = false;
    document.addEventListener("copy", (event) => this.#asked(event));
    grid.scroller.addEventListener("keydown", (event) => {
      // with titles: what the browser does not take for itself
      if (event.altKey && (event.ctrlKey || event.metaKey) && event.code === "KeyC") this.copy(true);
    });
  }

  /** Copy the range now, from a menu or a key; `titled`: with the columns' titles above. */
  copy(titled) {
    this.titled = titled;
    this.grid.scroller.focus({ preventScroll: true });
    document.execCommand("copy"); // the one way that also works where the desk is served without TLS
    this.titled = false;
  }

  // the browser asks what is to be copied, and wants to know it at once
  #asked(event) {
    const { grid, titled } = this;
    const { range } = grid.focus;
    if (document.activeElement !== grid.scroller || range === null || window.getSelection().type === "Range") return;
    event.preventDefault();
    const key = JSON.stringify([range, titled, grid.names]);
    const rows = range.lastRow - range.firstRow + 1;
    if (rows > MOST_ROWS) {
      this.say(`At most ${quantity(MOST_ROWS)} rows can be copied at once: ${quantity(rows)} are an export`);
      return;
    }
    const here = grid.window.at(range.firstRow) >= 0 && grid.window.at(range.lastRow) >= 0;
    if (!here && this.ready?.key !== key) {
      this.#fetch(key, range, rows, titled);
      return;
    }
    this.#give(event.clipboardData, table(here ? [grid.window] : this.ready.windows, range, grid.columns, titled), range);
    this.ready = null;
  }

  #give(clipboard, { text, html, rows }, range) {
    clipboard.setData("text/plain", text);
    clipboard.setData("text/html", html);
    const columns = range.lastColumn - range.firstColumn + 1;
    const cells = rows === 1 && columns === 1 ? "1 cell" : `${quantity(rows)} ${rows === 1 ? "row" : "rows"} × ${columns} ${columns === 1 ? "column" : "columns"}`;
    this.say(`Copied ${cells}`);
  }

  // rows that are not here: read them, then ask the browser, or the person, to copy once more
  async #fetch(key, range, rows, titled) {
    this.say(`Reading ${quantity(rows)} rows…`);
    try {
      this.ready = { key, windows: await this.read(range.firstRow, rows) };
    } catch (error) {
      this.say(`Not copied: ${error.message}`);
      return;
    }
    this.titled = titled;
    const done = document.execCommand("copy");
    this.titled = false;
    if (!done || this.ready) this.say(`${quantity(rows)} rows are ready: copy once more`);
  }
}
