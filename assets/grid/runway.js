// Where rows lie in the space that scrolls. Browsers end at some 17 to 33 million pixels: a taller table gets a shorter space,
// in which a wheel and the arrow keys still move by pixels, and only the thumb of the scroll bar moves by more.

/** The tallest space. Firefox ends at 17.8 million, Chromium at 33.5. */
export const MOST_PX = 8_000_000;
/** A scroll by more than this many screens, while no hand was at the wheel, was the thumb: it says how far of the whole. */
const NEAR_SCREENS = 4;
/** How long a wheel and a finger go on moving what they have set in motion. */
const WHEEL_MS = 400;
const FINGER_MS = 1500;
/** So many screens at either end are as tall as they are: there the first and the last row must be reached exactly. */
const END_SCREENS = 8;

export class Runway {
  /** `scroller` scrolls `space`, which holds the rows, each `rowHeight` pixels high. */
  constructor(scroller, space, rowHeight, most = MOST_PX) {
    this.scroller = scroller;
    this.space = space;
    this.rowHeight = rowHeight;
    this.most = most;
    this.rows = 0;
    this.view = 0;
    this.real = 0;
    this.shift = 0;
    this.last = 0;
    this.handUntil = 0;
    const hand = (ms) => () => (this.handUntil = performance.now() + ms);
    scroller.addEventListener("wheel", hand(WHEEL_MS), { passive: true });
    for (const touch of ["touchmove", "touchend"]) scroller.addEventListener(touch, hand(FINGER_MS), { passive: true });
  }

  /** Pixels from the first row's top to what is at the top of the screen. */
  get top() {
    return this.last + this.shift;
  }

  get tall() {
    return this.shortened > 0;
  }

  /** Pixels that the space lacks. */
  get shortened() {
    return this.rows * this.rowHeight - this.real;
  }

  /** Where a row is in the space. */
  y(row) {
    return row * this.rowHeight - this.shift;
  }

  /** So many rows, of which `view` pixels are seen at once; what is at the top stays there. Returns whether rows moved. */
  resize(rows, view) {
    const { top, shift } = this;
    this.view = Math.max(this.rowHeight, view);
    if (rows !== this.rows) {
      this.rows = rows;
      this.real = Math.min(rows * this.rowHeight, this.most);
      this.space.style.height = `${this.real}px`;
    }
    if (this.tall || shift !== 0) this.go(top);
    else this.last = this.scroller.scrollTop;
    return this.shift !== shift;
  }

  /** The scroller has scrolled. Returns whether rows that stay must be moved within the space. */
  scrolled() {
    const real = this.scroller.scrollTop;
    const by = real - this.last;
    this.last = real;
    if (!this.tall) return false;
    const { shift } = this;
    const thumb = Math.abs(by) > NEAR_SCREENS * this.view && performance.now() > this.handUntil;
    if (thumb) this.shift = Math.round(this.#topOf(real) - real);
    else if (real < this.#end || real > this.#most(this.real) - this.#end) this.go(this.top);
    return this.shift !== shift;
  }

  /** Scrolling has come to rest: put the thumb where it belongs. Returns whether rows moved. */
  rested() {
    const { shift } = this;
    if (this.tall) this.go(this.top);
    return this.shift !== shift;
  }

  /** Bring this many pixels below the first row's top to the top of the screen. */
  go(wanted) {
    const top = Math.max(0, Math.min(wanted, this.#most(this.rows * this.rowHeight)));
    const real = Math.round(this.#realOf(top));
    if (Math.abs(this.scroller.scrollTop - real) >= 1) this.scroller.scrollTop = real;
    this.last = this.scroller.scrollTop;
    this.shift = this.tall ? Math.round(top - this.last) : 0;
  }

  get #end() {
    return Math.min(END_SCREENS * this.view, this.#most(this.real) / 2);
  }

  #most(height) {
    return Math.max(0, height - this.view);
  }

  // at both ends pixel for pixel, and between them as the whole is to the space
  #topOf(real) {
    const [end, most, full] = [this.#end, this.#most(this.real), this.#most(this.rows * this.rowHeight)];
    if (real <= end) return real;
    if (real >= most - end) return full - (most - real);
    return end + ((real - end) / (most - 2 * end)) * (full - 2 * end);
  }

  #realOf(top) {
    if (!this.tall) return top;
    const [end, most, full] = [this.#end, this.#most(this.real), this.#most(this.rows * this.rowHeight)];
    if (top <= end) return top;
    if (top >= full - end) return most - (full - top);
    return end + ((top - end) / (full - 2 * end)) * (most - 2 * end);
  }
}
