// All keys of the desk, in a dialog that one of them opens.

import { make } from "./dom.js";

const KEYS = [
  ["Moving", [["← ↑ → ↓", "one cell"], ["Ctrl + arrows", "to the edge"], ["Page Up, Page Down", "a screen"], ["Home, End", "first, last column"], ["Ctrl + Home, End", "first, last row"], ["↑ in the first row", "into the titles"]]],
  ["Choosing and copying", [["Shift + any of these", "draws the range"], ["Ctrl + A", "everything"], ["Ctrl + C", "copies the range"], ["Ctrl + Alt + C", "copies it with titles"], ["Esc", "gives the range up, closes the drill-down"]]],
  ["Opening", [["Enter", "a row, or a group"], ["→ ← in the first column", "opens, closes a group"], ["Menu key, Shift + F10", "menu of the column and the cell"], ["f", "filter by text"], ["/, Ctrl + K", "find a security"], ["!", "alerts"], ["?", "this list"]]],
  ["In the titles", [["← →", "from title to title"], ["Enter, Shift + Enter", "sorts, adds to the sort"], ["Ctrl + ← →", "moves the column"], ["Shift + ← →", "narrower, wider"], ["Menu key, Alt + ↓", "menu of the column"], ["↓", "into the rows"]]],
];

export class Help {
  constructor() {
    const section = ([title, keys]) => make("section", {}, make("h2", {}, title), make("dl", {}, ...keys.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)])));
    const close = make("button", { type: "button", class: "plain", autofocus: "", onclick: () => this.host.close() }, "Close");
    this.host = make("dialog", { id: "help", "aria-labelledby": "help-title" }, make("div", { class: "line" }, make("h1", { id: "help-title" }, "Keys"), close), make("div", { class: "columns" }, ...KEYS.map(section)));
    this.host.addEventListener("keydown", (event) => event.key === "Escape" && event.stopPropagation());
    document.body.append(this.host);
  }

  open() {
    if (!this.host.open) this.host.showModal();
  }
}
