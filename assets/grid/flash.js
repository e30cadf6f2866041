// Changed cells stand out for a moment. A class goes on and one timer sweeps: keyframes would keep a browser core busy.

const SWEEP_MS = 100;
const SHOWN_SWEEPS = 7;

export class Flasher {
  constructor() {
    this.until = new Map();
    this.sweeps = 0;
    setInterval(() => this.#sweep(), SWEEP_MS);
  }

  /** `cell` is an element; `up`: whether its number grew. The arrow drawn by CSS tells it without colour. */
  flash(cell, up) {
    const [on, off] = up ? ["up", "down"] : ["down", "up"];
    if (!cell.classList.contains(on)) {
      cell.classList.remove(off);
      cell.classList.add(on);
    }
    this.until.set(cell, this.sweeps + SHOWN_SWEEPS);
  }

  forget(cell) {
    if (this.until.delete(cell)) cell.classList.remove("up", "down");
  }

  #sweep() {
    this.sweeps += 1;
    for (const [cell, last] of this.until) {
      if (last <= this.sweeps) this.forget(cell);
    }
  }
}
