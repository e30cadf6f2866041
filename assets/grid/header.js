// The grid's head: what the columns are, by what the view is sorted, which are filtered, how wide they are and in what order.

import { make } from "./dom.js";
import { dragged } from "./drag.js";

const LEAST_WIDTH = 40;
const STEP = 8;
const ARROW = { asc: "▲", desc: "▼" };
const WORDS = { asc: "ascending", desc: "descending" };

/** The next sort after a click: the first direction a column offers, the other, none. `add` keeps other columns' keys. */
export function nextSort(sort, column, add) {
  const [first, second] = column.kind === "number" ? ["desc", "asc"] : ["asc", "desc"];
  const now = sort.find(([id]) => id === column.id)?.[1];
  const next = now === undefined ? first : now === first ? second : undefined;
  if (!add) return next ? [[column.id, next]] : [];
  if (now === undefined) return [...sort, [column.id, next]];
  return sort.flatMap(([id, direction]) => (id !== column.id ? [[id, direction]] : next ? [[id, next]] : []));
}

export class Header {
  /**
   * `widths`: what a person has set, by id. `filtered`: ids of columns that have a condition.
   * Events: onSort(sort), onWiden() while a grip is dragged, onWidth(id, pixels or null) when it is let go, onMove(id, before),
   * onMenu(column, element), onDown(column id): the keyboard leaves the head for the rows.
   */
  constructor(columns, { sort, widths, filtered }, events) {
    this.columns = columns;
    this.sort = sort;
    this.events = events;
    this.set = widths;
    this.widths = new Map(columns.map((column) => [column.id, widths[column.id] ?? column.width]));
    this.style = document.createElement("style");
    this.heads = new Map(columns.map((column, at) => [column.id, this.#head(column, at)]));
    this.groups = this.#groups();
    const pane = (shape, pinned) => {
      const parts = [...this.heads.values(), ...this.groups.map(({ host }) => host)];
      const [heads, groups] = [parts.slice(0, columns.length), this.groups];
      return make("div", { class: shape, role: "row", "aria-rowindex": 1 },
        ...heads.filter((_, at) => Boolean(columns[at].pinned) === pinned), ...groups.filter((group) => group.pinned === pinned).map(({ host }) => host));
    };
    this.pinnedPane = pane("hpinned", true);
    this.host = make("div", { class: "head", role: "rowgroup" }, this.pinnedPane, pane("hrow", false));
    this.#lay();
    this.mark(sort, filtered);
    this.#reachable(columns[0].id);
  }

  width() {
    return [...this.widths.values()].reduce((sum, width) => sum + width, 0);
  }

  /** Of the columns that stay in sight. */
  pinnedWidth() {
    return this.columns.reduce((sum, { id, pinned }) => sum + (pinned ? this.widths.get(id) : 0), 0);
  }

  /** Give what is left of a wide screen to the first column that may grow, unless a person has set its width. */
  fit(available) {
    const first = this.columns.find(({ most }) => most);
    if (!first || first.id in this.set) return;
    const others = this.width() - this.widths.get(first.id);
    this.widths.set(first.id, Math.min(first.most, Math.max(first.width, available - others)));
    this.#lay();
  }

  /** Left edge and width of a column, in pixels. */
  span(id) {
    let left = 0;
    for (const [each, width] of this.widths) {
      if (each === id) return { left, width };
      left += width;
    }
    throw new Error(`no column ${id}`);
  }

  /** By what the view is sorted, and which columns have a condition. */
  mark(sort, filtered) {
    this.sort = sort;
    for (const [id, head] of this.heads) {
      const at = sort.findIndex(([each]) => each === id);
      const direction = sort[at]?.[1];
      head.querySelector(".mark").textContent = direction ? ARROW[direction] + (sort.length > 1 ? at + 1 : "") : "";
      head.setAttribute("aria-sort", direction ? WORDS[direction] : "none");
      head.classList.toggle("filtered", filtered.has(id));
    }
  }

  focus(id) {
    if (!this.heads.has(id)) return;
    this.#reachable(id);
    this.heads.get(id).focus();
  }

  /** One step wider or narrower. */
  widen(id, by) {
    this.#width(id, this.widths.get(id) + by * STEP);
    this.events.onWidth(id, this.set[id]);
  }

  /** As wide as a person has not set it. */
  release(column) {
    delete this.set[column.id];
    this.widths.set(column.id, column.width);
    this.events.onWidth(column.id, null);
  }

  #head(column, at) {
    const grip = make("i", { class: "grip", title: "Drag to resize; double click for the width it had", onpointerdown: (event) => this.#drag(event, column), ondblclick: () => this.release(column), onclick: (event) => event.stopPropagation() });
    const label = make("span", { class: "label" }, column.header);
    const mark = make("span", { class: "mark", "aria-hidden": "true" });
    const more = make("button", { class: "more", type: "button", tabindex: -1, title: "Menu of the column", "aria-label": `Menu of ${column.header}`, "aria-haspopup": "menu" });
    more.addEventListener("click", (event) => {
      event.stopPropagation();
      this.events.onMenu(column, host);
    });
    const shape = `hcell c-${column.style} ${column.kind === "number" ? "num" : "txt"}${column.group ? " low" : ""}`;
    const host = make("div", { class: shape, role: "columnheader", tabindex: -1, title: column.tip, "data-head": column.id, "aria-colindex": at + 1 }, label, mark, more, grip);
    host.addEventListener("click", (event) => this.#clicked(column, event.shiftKey));
    host.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      this.events.onMenu(column, host);
    });
    host.addEventListener("keydown", (event) => event.target === host && this.#key(event, column, host));
    host.addEventListener("pointerdown", (event) => event.button === 0 && !event.target.closest(".grip, .more") && this.#carry(event, column, host));
    return host;
  }

  // a title above neighbours that stand together, wherever a person has put them
  #groups() {
    const runs = [];
    for (const column of this.columns) {
      const last = runs.at(-1);
      if (last && last.name === column.group && last.pinned === Boolean(column.pinned)) last.ids.push(column.id);
      else runs.push({ name: column.group, pinned: Boolean(column.pinned), ids: [column.id] });
    }
    return runs.filter(({ name }) => name).map((run) => ({ ...run, host: make("div", { class: "hgroup", "aria-hidden": "true" }, run.name) }));
  }

  #clicked(column, add) {
    if (column.still) return;
    this.events.onSort(nextSort(this.sort, column, add));
  }

  // one stop of the Tab key; from there the arrows
  #reachable(id) {
    for (const [each, head] of this.heads) head.setAttribute("tabindex", each === id ? 0 : -1);
  }

  #key(event, column, host) {
    const ids = this.columns.map(({ id }) => id);
    const at = ids.indexOf(column.id);
    const control = event.ctrlKey || event.metaKey;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && control) this.#step(at, by);
    else if (by && event.shiftKey) this.widen(column.id, by);
    else if (by || event.key === "Home" || event.key === "End") {
      const to = by ? at + by : event.key === "Home" ? 0 : ids.length - 1;
      this.focus(ids[Math.max(0, Math.min(ids.length - 1, to))]);
    } else if (event.key === "Enter") this.#clicked(column, event.shiftKey);
    else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey) || (event.key === "ArrowDown" && event.altKey)) this.events.onMenu(column, host);
    else if (event.key === "ArrowDown") this.events.onDown(column.id);
    else return;
    event.preventDefault();
  }

  // put before the left neighbour, or before the one behind the right neighbour
  #step(at, by) {
    const before = by < 0 ? this.columns[at - 1] : this.columns[at + 2];
    if (by < 0 ? at > 0 : at < this.columns.length - 1) this.events.onMove(this.columns[at].id, before?.id ?? "");
  }

  #carry(down, column, host) {
    dragged(down, host, column.header, {
      over: (x, y) => this.#placeAt(x, y),
      drop: (before) => this.events.onMove(column.id, before),
      elsewhere: (x, y, done) => this.events.onCarry?.(column, x, y, done),
    });
  }

  /** Before which column something let go here would come; null where it is not above the head. */
  #placeAt(x, y) {
    const box = this.host.getBoundingClientRect();
    if (y < box.top || y > box.bottom || x < box.left || x > box.right) return null;
    const heads = [...this.heads].map(([id, head]) => ({ id, box: head.getBoundingClientRect() }));
    const under = heads.find((each, at) => x >= each.box.left && x < each.box.right && (this.columns[at].pinned || x > box.left + this.pinnedWidth()));
    if (!under) return { before: "", x: heads.at(-1).box.right };
    const late = x > (under.box.left + under.box.right) / 2;
    const next = this.columns[this.columns.findIndex(({ id }) => id === under.id) + 1];
    return late ? { before: next?.id ?? "", x: under.box.right } : { before: under.id, x: under.box.left };
  }

  #drag(down, column) {
    down.preventDefault();
    down.stopPropagation();
    const grip = down.target;
    const from = this.widths.get(column.id) - down.clientX;
    const move = (event) => this.#width(column.id, from + event.clientX);
    grip.setPointerCapture(down.pointerId);
    grip.addEventListener("pointermove", move);
    grip.addEventListener("pointerup", () => {
      grip.removeEventListener("pointermove", move);
      if (column.id in this.set) this.events.onWidth(column.id, this.set[column.id]);
    }, { once: true });
  }

  #width(id, wanted) {
    this.set[id] = Math.max(LEAST_WIDTH, Math.round(wanted));
    this.widths.set(id, this.set[id]);
    this.#lay();
    this.events.onWiden();
  }

  // one rule per column: a drag changes rules, not a thousand elements
  #lay() {
    let left = 0;
    const rules = [];
    for (const { id, style } of this.columns) {
      const width = this.widths.get(id);
      rules.push(`#grid .c-${style}{left:${left}px;width:${width}px}`);
      left += width;
    }
    this.style.textContent = rules.join("");
    for (const { ids, host } of this.groups) {
      const first = this.span(ids[0]);
      const last = this.span(ids.at(-1));
      host.style.left = `${first.left}px`;
      host.style.width = `${last.left + last.width - first.left}px`;
    }
  }
}
