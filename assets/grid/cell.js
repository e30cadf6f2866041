// One cell on screen: an element whose text is written directly. It stays when the row it stands for changes.

import { fitted, NONE, quantity } from "./formats.js";
import { CLOSED, DATA, OPEN } from "./rows.js";

const CHEVRON = { [OPEN]: "▾", [CLOSED]: "▸" };

export class LiveCell {
  /** `column`: as columns.js makes it; `at`: its place from the left, from 0. */
  constructor(column, at) {
    this.column = column;
    this.host = document.createElement("div");
    this.host.className = `cell c-${column.style} ${column.kind === "number" ? "num" : "txt"}`;
    for (const style of ["mono", "muted", "strong", "priced"]) if (column[style]) this.host.classList.add(style);
    this.host.setAttribute("role", "gridcell");
    this.host.setAttribute("aria-colindex", at + 1);
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
    this.value = undefined;
    this.floor = false;
    this.look = "";
    this.share = "";
    this.indent = "";
  }

  /** The cell now shows row `id`; returns whether that is another than before. */
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
    this.blank();
  }

  /** The row has nothing to say here: a group, in a column that is not summed. */
  blank() {
    this.value = undefined;
    this.#mark("");
    this.#colour("");
    this.dress("");
    this.#write("");
  }

  text(value) {
    const unknown = value === "" || (this.column.chip && value === "UNKNOWN");
    this.#write(unknown ? NONE : value);
    if (this.column.chip) this.#colour(unknown ? "" : value.toLowerCase());
  }

  /** `floor`: the number is a lower bound. */
  number(value, floor) {
    // a window that comes while scrolling says again most of what is on screen: formatting it anew would cost more than all else
    if (Object.is(value, this.value) && floor === this.floor) return;
    this.value = value;
    this.floor = floor;
    const text = fitted(this.column.show(value), value);
    this.#write(floor ? `≥ ${text}` : text);
    const { hot } = this.column;
    this.#mark(value < 0 ? "neg" : value === 0 || Number.isNaN(value) ? "zero" : value >= hot ? "hot" : "");
  }

  /** The label of a row in a tree. */
  branch(group) {
    const indent = `${6 + group.level * 14}px`;
    if (this.indent !== indent) {
      this.indent = indent;
      this.host.style.paddingLeft = indent;
    }
    if (group.state === DATA) this.#write("");
    else this.#write(`${CHEVRON[group.state] ?? "·"} ${group.label || "none"}  ${quantity(group.rows)}`);
  }

  /** `look`: class of a person's rule, "" for none; `share`: of a bar or a heat, 0 to 1, negative to the other side. */
  dress(look, share = 0) {
    if (this.look !== look) {
      if (this.look) this.host.classList.remove("look", this.look);
      if (look) this.host.classList.add("look", look);
      this.look = look;
    }
    const told = share.toFixed(3);
    if (!look || this.share === told) return;
    this.share = told;
    this.host.style.setProperty("--share", told);
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
