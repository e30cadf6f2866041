// The button at the end of the grid's head: which columns are shown. A choice is what differs from what the desk shows, so that
// a new calculation appears by itself.

import { make } from "./dom.js";

export class Chooser {
  /** `chosen()`: the choice now, id -> yes or no; `onChange(choice)` follows every choice. */
  constructor(host, chosen, onChange) {
    this.chosen = chosen;
    this.onChange = onChange;
    this.columns = [];
    this.search = make("input", { type: "search", placeholder: "Find a column…", "aria-label": "Find a column", spellcheck: "false", autocomplete: "off", oninput: () => this.#filter() });
    this.list = make("div", { class: "choices" });
    this.reset = make("button", { class: "plain", type: "button", onclick: () => this.#choose({}) }, "As the desk shows it");
    this.panel = make("div", { id: "chooser", popover: "auto", role: "dialog", "aria-label": "Columns" }, make("div", { class: "line" }, this.search, this.reset), this.list);
    this.button = make("button", { id: "choose-columns", type: "button", popovertarget: "chooser", title: "Choose columns", "aria-label": "Choose columns", "aria-haspopup": "dialog" }, "⋮");
    this.panel.addEventListener("beforetoggle", () => this.#place());
    this.panel.addEventListener("toggle", (event) => event.newState === "open" && this.#opened());
    this.panel.addEventListener("keydown", (event) => this.#key(event));
    host.append(this.button, this.panel);
  }

  /** The columns there are. */
  offer(columns) {
    this.columns = columns;
    const groups = new Map();
    for (const column of columns) {
      if (column.pinned) continue;
      const name = column.group || column.family;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(column);
    }
    this.list.replaceChildren(...[...groups].map(([name, members]) => this.#group(name, members)));
    this.renew();
  }

  #group(name, members) {
    const box = make("input", { type: "checkbox", "aria-label": `All of ${name}`, onchange: () => this.#set(members, box.checked) });
    const group = make("fieldset", {}, make("legend", {}, make("label", {}, box, name)), ...members.map((column) => this.#choice(column)));
    group.members = members;
    group.box = box;
    return group;
  }

  #choice(column) {
    const box = make("input", { type: "checkbox", "data-choice": column.id, onchange: () => this.#set([column], box.checked) });
    return make("label", { title: column.tip, "data-words": `${column.header} ${column.id} ${column.group} ${column.tip}`.toLowerCase() }, box, column.header);
  }

  #set(members, on) {
    const choice = { ...this.chosen() };
    for (const { id, shown } of members) {
      if (on === shown) delete choice[id];
      else choice[id] = on;
    }
    this.#choose(choice);
  }

  #choose(choice) {
    this.onChange(choice);
    this.renew();
  }

  /** Show what is chosen now. */
  renew() {
    const choice = this.chosen();
    const on = (column) => choice[column.id] ?? column.shown;
    const byId = new Map(this.columns.map((column) => [column.id, column]));
    for (const box of this.list.querySelectorAll("[data-choice]")) box.checked = on(byId.get(box.dataset.choice));
    for (const { members, box } of this.list.children) {
      const count = members.filter(on).length;
      box.checked = count === members.length;
      box.indeterminate = count > 0 && count < members.length;
    }
    this.reset.disabled = Object.keys(choice).length === 0;
  }

  #filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const group of this.list.children) {
      const labels = [...group.querySelectorAll("[data-words]")];
      for (const label of labels) label.hidden = !words.every((word) => label.dataset.words.includes(word));
      group.hidden = labels.every((label) => label.hidden);
    }
  }

  // what is above all else is placed on the screen, not in the grid
  #place() {
    const { right, bottom } = this.button.getBoundingClientRect();
    Object.assign(this.panel.style, {
      top: `${bottom}px`, right: `${window.innerWidth - right}px`, maxHeight: `${window.innerHeight - bottom - 8}px`,
    });
  }

  #opened() {
    this.search.value = "";
    this.#filter();
    this.search.focus();
  }

  // arrows go from box to box, as in any menu; Tab and the space bar are the browser's
  #key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") event.stopPropagation();
    if (!by) return;
    event.preventDefault();
    const stops = [this.search, ...this.list.querySelectorAll("input")].filter((stop) => stop.checkVisibility());
    const at = stops.indexOf(document.activeElement) + by;
    stops[Math.max(0, Math.min(stops.length - 1, at))].focus();
  }
}
