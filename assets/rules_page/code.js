// A document's text with line numbers and colours; with a field over it, it can be edited, and problems stand at their place.

import { make } from "../grid/dom.js";
import { highlight } from "./highlight.js";

/** The coloured pieces of one line. Text is always text. */
export function pieces(line) {
  return line.map(([kind, text]) => (kind ? make("span", { class: `h-${kind}` }, text) : text));
}

/** Text that is only read. Lines can be linked to by number. */
export function codeView(text, label) {
  const lines = highlight(text).map((line, i) =>
    make("div", { class: "line", "data-line": i + 1 }, make("span", { class: "number", "aria-hidden": "true" }, String(i + 1)),
      make("code", {}, ...pieces(line))),
  );
  return make("div", { class: "code", tabindex: 0, role: "region", "aria-label": label }, ...lines);
}

export class Editor {
  /** `onChange(text)` after every change. `host` is the element to put on the page. */
  constructor(text, label, onChange) {
    this.onChange = onChange;
    this.problems = [];
    this.wrong = [];
    this.count = text.split("\n").length;
    this.lines = [];
    this.paint = make("div", { class: "paint", "aria-hidden": "true" });
    this.field = make("textarea", {
      "aria-label": label, spellcheck: "false", autocomplete: "off", autocapitalize: "off", wrap: "off", id: "editor",
    });
    this.field.value = text;
    this.field.addEventListener("input", () => this.#changed());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.host = make("div", { class: "code edit" }, make("div", { class: "sheet" }, this.paint, this.field));
    this.#draw();
  }

  get text() {
    return this.field.value;
  }

  /** Problems of this document: [{line, column, message}]; they stay until the next ones. */
  show(problems) {
    const lines = this.text.split("\n");
    this.count = lines.length;
    this.problems = problems.filter((problem) => problem.line > 0);
    this.wrong = this.problems.map((problem) => lines[problem.line - 1]);
    this.#draw();
    this.field.setAttribute("aria-invalid", String(problems.length > 0));
  }

  /** The cursor to a place; line and column from 1. */
  goTo(line, column) {
    const lines = this.text.split("\n");
    const before = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    const at = before + Math.max(0, Math.min((column || 1) - 1, (lines[line - 1] ?? "").length));
    this.field.focus({ preventScroll: true });
    this.field.setSelectionRange(at, at);
    this.paint.children[line - 1]?.scrollIntoView({ block: "center" });
  }

  // a mark moves with its line, and goes when the line is written anew
  #follow() {
    const lines = this.text.split("\n");
    const moved = lines.length - this.count;
    this.count = lines.length;
    this.problems.forEach((problem, i) => {
      if (lines[problem.line - 1] !== this.wrong[i] && lines[problem.line - 1 + moved] === this.wrong[i]) problem.line += moved;
    });
    const kept = this.problems.map((problem, i) => lines[problem.line - 1] === this.wrong[i]);
    this.problems = this.problems.filter((_, i) => kept[i]);
    this.wrong = this.wrong.filter((_, i) => kept[i]);
  }

  #changed() {
    this.#follow();
    this.#draw();
    this.onChange(this.text);
  }

  // only lines that look different are made anew
  #draw() {
    const lines = highlight(this.text);
    const at = new Map();
    for (const problem of this.problems) at.set(problem.line, [...(at.get(problem.line) ?? []), problem]);
    const wanted = lines.map((line, i) => ({ line, key: JSON.stringify([line, at.get(i + 1) ?? 0]), wrong: at.get(i + 1) }));
    const { children } = this.paint;
    while (children.length > wanted.length) this.paint.lastChild.remove();
    wanted.forEach(({ line, key, wrong }, i) => {
      if (this.lines[i] === key && children[i]) return;
      const made = editLine(line, i + 1, wrong);
      if (children[i]) children[i].replaceWith(made);
      else this.paint.append(made);
    });
    this.lines = wanted.map(({ key }) => key);
    this.field.style.height = `${wanted.length * 18 + 4}px`;
    this.field.style.width = `calc(${Math.max(80, ...this.text.split("\n").map((line) => line.length)) + 4}ch)`;
  }

  // a new line begins where the one before did
  #key(event) {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { selectionStart: start, value } = this.field;
    const indent = /^[ ]*/.exec(value.slice(value.lastIndexOf("\n", start - 1) + 1, start))[0];
    if (!indent) return;
    event.preventDefault();
    // through the browser's own door, so that undo knows of it
    document.execCommand("insertText", false, `\n${indent}`);
  }
}

function editLine(line, number, problems) {
  const marks = (problems ?? []).map((problem) =>
    make("span", { class: "caret", style: `left:calc(var(--gutter) + ${Math.max(0, (problem.column || 1) - 1)}ch)` }),
  );
  const sign = make("span", { class: "number" }, problems ? `✕ ${number}` : String(number));
  const title = problems?.map((problem) => problem.message).join("\n");
  return make("div", { class: problems ? "line wrong" : "line", "data-line": number, title }, sign, make("code", {}, ...pieces(line)), ...marks);
}

/** The list of problems; a click goes to the place. */
export function problemList(problems, document, onGo) {
  const items = problems.map((problem) => {
    const elsewhere = problem.document && problem.document !== document;
    const place = [elsewhere ? problem.document : "", problem.line ? `line ${problem.line}` : "", problem.column ? `column ${problem.column}` : ""];
    const attributes = { type: "button", "data-line": problem.line, disabled: (elsewhere || !problem.line) && "", onclick: () => onGo(problem) };
    return make("li", {}, make("button", attributes, make("b", {}, place.filter(Boolean).join(", ") || "Document"), ` ${problem.message}`));
  });
  const count = `${problems.length} ${problems.length === 1 ? "problem" : "problems"}: nothing was saved`;
  return make("section", { class: "problems", "aria-label": "Problems" }, make("h3", { role: "alert" }, `✕ ${count}`), make("ol", {}, ...items));
}
