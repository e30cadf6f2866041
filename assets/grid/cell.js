// One cell on screen: an element whose text is written directly. It stays when the row it stands for changes.

import { NONE } from "./formats.js";

export class LiveCell {
  /** `column`: as columns.js makes it. */
  constructor(column) {
    this.column = column;
    this.host = document.createElement("div");
    this.host.className = `cell c-${column.style} ${column.kind === "number" ? "num" : "txt"}`;
    for (const style of ["mono", "muted", "strong", "priced"]) if (column[style]) this.host.classList.add(style);
    this.host.setAttribute("role", "gridcell");
    this.host.dataset.column = column.id;
    this.inner = this.host;
    if (column.chip) {
      this.inner = document.createElement("span");
      this.host.append(this.inner);
    }
    this.node = document.createTextNode("");
    this.inner.append(this.node);
    this.id = 0;
    this.sign = "";
    this.chip = "";
  }

  /** The cell now shows security `id`; returns whether that is another than before. */
  identify(id) {
    if (this.id === id) return false;
    this.id = id;
    if (id) this.host.dataset.id = id;
    else delete this.host.dataset.id;
    return true;
  }

  /** Nothing is known of this row yet. */
  clear() {
    this.identify(0);
    this.#mark("");
    this.#colour("");
    this.#write("");
  }

  text(value) {
    const unknown = value === "" || (this.column.chip && value === "UNKNOWN");
    this.#write(unknown ? NONE : value);
    if (this.column.chip) this.#colour(unknown ? "" : value.toLowerCase());
  }

  /** `floor`: the number is a lower bound. */
  number(value, floor) {
    const text = this.column.show(value);
    this.#write(floor ? `≥ ${text}` : text);
    const { hot } = this.column;
    this.#mark(value < 0 ? "neg" : value === 0 || Number.isNaN(value) ? "zero" : value >= hot ? "hot" : "");
  }

  #write(text) {
    if (this.node.data !== text) this.node.data = text;
  }

  #mark(sign) {
    if (this.sign === sign) return;
    if (this.sign) this.host.classList.remove(this.sign);
    if (sign) this.host.classList.add(sign);
    this.sign = sign;
  }

  #colour(name) {
    if (this.chip === name) return;
    this.chip = name;
    this.inner.className = name && `chip ${name}`;
  }
}
