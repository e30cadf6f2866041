// Numbers over time as steps: what was known holds until the next number, and where nobody looked there is no line.

import { make } from "../grid/dom.js";
import { compact, NONE } from "../grid/formats.js";
import { Chart } from "./chart.js";
import { DASHES } from "./look.js";
import { nice, ticks, timeText, timeTicks } from "./scale.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 56;
const RIGHT = 12;
const BOTTOM = 20;
const TOP = 18;
const SHORTEST_MS = 60_000;
const MARKS = { action: "A", trade: "T", rules: "R", day: "D", decision: "L", stale: "!", gap: "" };
/** Units whose axis begins at 0: of how long or how much of all, half as high is half as much. */
const FROM_NOTHING = new Set(["ms", "%"]);
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

export class TimeChart extends Chart {
  /** `onRange(from, to)`: a stretch was drawn; `onPick(ms)`: a moment was chosen. */
  constructor(host, { onRange = null, onPick = null, ...options }) {
    super(host, options);
    Object.assign(this, { onRange, onPick, data: { lines: [], marks: [], from_ms: 0, to_ms: 1 }, hidden: new Set(), at: null, drag: null });
    this.legend = make("div", { class: "chart-legend" });
    this.tools.append(this.legend);
    this.canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.canvas.addEventListener("pointerup", (event) => this.#up(event));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /**
   * `lines`: [{name, unit, times_ms, values, spans: [[from, to], ...] or null}]; `marks`: [{at_ms, until_ms, kind, text}];
   * `picked_ms`: a moment that is chosen.
   */
  show(data) {
    this.data = data;
    this.#legend();
    const told = data.lines.map((line) => `${line.name} ${line.values.length ? amount(line.values.at(-1), line.unit) : "none"}`);
    this.canvas.setAttribute("aria-label", `${this.title}. Newest: ${told.join("; ") || "nothing"}. Arrow keys walk along the time.`);
    this.redraw();
  }

  get subtitle() {
    const { from_ms: from, to_ms: to } = this.data;
    return `${iso(from)} to ${iso(to)} UTC · ${this.#shown().map(({ name }) => name).join(" · ")}`;
  }

  paint(context, width, height, theme) {
    const { from_ms: from } = this.data;
    const to = Math.max(this.data.to_ms, from + SHORTEST_MS);
    const lines = this.#shown();
    const units = [...new Set(lines.map(({ unit }) => unit))].slice(0, 2);
    const right = units.length > 1 ? LEFT : RIGHT;
    const box = { x: LEFT, y: TOP, w: Math.max(10, width - LEFT - right), h: Math.max(10, height - TOP - BOTTOM) };
    const x = (ms) => box.x + ((ms - from) / (to - from)) * box.w;
    this.box = box;
    this.range = [from, to];
    this.x = x;
    this.#spans(context, theme, box, x);
    const axes = units.map((unit, at) => this.#axis(context, theme, box, unit, lines, at, width));
    this.#times(context, theme, box, x, from, to);
    context.save();
    context.beginPath();
    context.rect(box.x, box.y - 1, box.w, box.h + 2);
    context.clip();
    for (const line of lines) if (units.includes(line.unit)) this.#line(context, theme, line, x, axes[units.indexOf(line.unit)], to);
    context.restore();
    this.#marks(context, theme, box, x);
    this.#cursor(context, theme, box, x);
  }

  pointed(px, py) {
    if (!this.box) return;
    this.at = this.#ms(px);
    if (this.drag) this.drag.to = this.at;
    this.#told(px, py);
    this.redraw();
  }

  left() {
    super.left();
    if (this.at === null) return;
    this.at = null;
    this.redraw();
  }

  #shown() {
    return this.data.lines.filter(({ name }) => !this.hidden.has(name));
  }

  #ms(px) {
    const [from, to] = this.range;
    return from + Math.min(1, Math.max(0, (px - this.box.x) / this.box.w)) * (to - from);
  }

  #legend() {
    const names = this.data.lines.map(({ name }) => name);
    if (names.join("\n") === this.legendOf) return;
    this.legendOf = names.join("\n");
    this.legend.replaceChildren(...names.map((name, at) => {
      const swatch = document.createElementNS(SVG, "svg");
      const line = document.createElementNS(SVG, "path");
      swatch.setAttribute("class", `swatch line-${at % DASHES.length}`);
      line.setAttribute("d", "M0 5H22");
      line.setAttribute("stroke-dasharray", DASHES[at % DASHES.length].join(" "));
      swatch.append(line);
      const button = make("button", { type: "button", "aria-pressed": String(!this.hidden.has(name)), title: "Show or hide this line" }, swatch, name);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(name)) this.hidden.add(name);
        button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
        this.redraw();
      });
      return button;
    }));
  }

  #axis(context, theme, box, unit, lines, side, width) {
    const [from, to] = this.range;
    let [low, high] = [Infinity, -Infinity];
    for (const line of lines) {
      if (line.unit !== unit) continue;
      line.values.forEach((value, i) => {
        const until = line.times_ms[i + 1] ?? Infinity;
        if (until < from || line.times_ms[i] > to || value === null) return;
        low = Math.min(low, value);
        high = Math.max(high, value);
      });
    }
    if (low > high) [low, high] = [0, 1];
    if (FROM_NOTHING.has(unit)) low = Math.min(0, low);
    const scale = nice(low, high, Math.max(2, Math.floor(box.h / 44)));
    const y = (value) => box.y + box.h - ((value - scale[0]) / (scale[1] - scale[0])) * box.h;
    context.font = theme.font(10);
    context.textBaseline = "middle";
    context.textAlign = side ? "left" : "right";
    for (const tick of ticks(scale)) {
      if (!side) {
        context.fillStyle = tick === 0 ? theme.muted : theme.line;
        context.fillRect(box.x, Math.round(y(tick)), box.w, 1);
      }
      context.fillStyle = theme.muted;
      context.fillText(tickText(tick, scale[2], unit), side ? box.x + box.w + 6 : box.x - 6, y(tick));
    }
    context.textBaseline = "alphabetic";
    context.textAlign = side ? "right" : "left";
    context.fillText(unit, side ? width - 2 : 4, 8);
    return y;
  }

  #times(context, theme, box, x, from, to) {
    const { step, ticks: times } = timeTicks(from, to, Math.max(2, Math.floor(box.w / 80)));
    context.font = theme.font(10);
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    for (const at of times) {
      context.fillStyle = theme.line;
      context.fillRect(Math.round(x(at)), box.y, 1, box.h);
      context.fillStyle = theme.muted;
      context.fillText(timeText(at, step), Math.min(box.x + box.w - 14, Math.max(box.x + 14, x(at))), box.y + box.h + 14);
    }
  }

  #line(context, theme, line, x, y, to) {
    const at = this.data.lines.indexOf(line);
    context.strokeStyle = theme.lines[at % theme.lines.length];
    context.lineWidth = 2;
    context.setLineDash(DASHES[at % DASHES.length]);
    context.lineJoin = "round";
    context.beginPath();
    const spans = line.spans ?? [[-Infinity, Infinity]];
    let span = 0;
    let open = false;
    line.times_ms.forEach((ms, i) => {
      while (span < spans.length && spans[span][1] <= ms) span += 1;
      const value = line.values[i];
      const begins = span < spans.length && spans[span][0] > (line.times_ms[i - 1] ?? -Infinity);
      if (value === null) open = false;
      else {
        const end = Math.min(line.times_ms[i + 1] ?? to, spans[span]?.[1] ?? ms, to);
        if (open && !begins) context.lineTo(x(ms), y(value));
        else context.moveTo(x(ms), y(value));
        context.lineTo(x(Math.max(ms, end)), y(value));
        open = !spans[span] || end < spans[span][1] || (line.times_ms[i + 1] ?? Infinity) <= spans[span][1];
      }
    });
    context.stroke();
    context.setLineDash([]);
  }

  /** Times over which something was so: late feeds, and when nobody looked. */
  #spans(context, theme, box, x) {
    for (const { at_ms: at, until_ms: until, kind } of this.data.marks ?? []) {
      if (kind !== "stale" && kind !== "gap") continue;
      const [a, b] = [Math.max(box.x, x(at)), Math.min(box.x + box.w, x(until))];
      if (b <= a) continue;
      context.save();
      context.beginPath();
      context.rect(a, box.y, b - a, box.h);
      context.clip();
      context.globalAlpha = kind === "gap" ? 0.35 : 0.3;
      context.fillStyle = kind === "gap" ? theme.line : theme.warn;
      if (kind === "stale") context.fillRect(a, box.y, b - a, box.h);
      context.strokeStyle = context.fillStyle;
      for (let d = -box.h; kind === "gap" && d < b - a; d += 7) {
        context.beginPath();
        context.moveTo(a + d, box.y + box.h);
        context.lineTo(a + d + box.h, box.y);
        context.stroke();
      }
      context.restore();
    }
  }

  #marks(context, theme, box, x) {
    context.font = theme.font(9, 650);
    context.textAlign = "center";
    context.textBaseline = "middle";
    const colours = { action: theme.lines[3], trade: theme.accent, rules: theme.warn, day: theme.muted, decision: theme.good, stale: theme.warn };
    for (const { at_ms: at, kind } of this.data.marks ?? []) {
      if (!MARKS[kind] || at < this.range[0] || at > this.range[1]) continue;
      const px = x(at);
      context.strokeStyle = context.fillStyle = colours[kind] ?? theme.muted;
      context.globalAlpha = 0.55;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(px, box.y);
      context.lineTo(px, box.y + box.h);
      context.stroke();
      context.globalAlpha = 1;
      context.fillRect(px - 6, box.y - 14, 12, 12);
      context.fillStyle = theme.panel;
      context.fillText(MARKS[kind], px, box.y - 7.5);
    }
    const { picked_ms: picked } = this.data;
    if (picked && picked >= this.range[0] && picked <= this.range[1]) {
      context.fillStyle = theme.text;
      context.fillRect(Math.round(x(picked)) - 1, box.y, 2, box.h);
    }
  }

  #cursor(context, theme, box, x) {
    if (this.drag && Math.abs(x(this.drag.to) - x(this.drag.from)) > 3) {
      context.globalAlpha = 0.2;
      context.fillStyle = theme.accent;
      context.fillRect(x(this.drag.from), box.y, x(this.drag.to) - x(this.drag.from), box.h);
      context.globalAlpha = 1;
    }
    if (this.at === null) return;
    context.fillStyle = theme.muted;
    context.fillRect(Math.round(x(this.at)), box.y, 1, box.h);
  }

  #told(px, py) {
    const near = (this.range[1] - this.range[0]) / Math.max(1, this.box.w) * 7;
    const marks = (this.data.marks ?? []).filter(({ at_ms: at, until_ms: until = at }) => this.at >= at - near && this.at <= Math.max(until, at) + near).slice(0, 5);
    const lines = this.#shown().map((line) => `${line.name}: ${amount(valueAt(line, this.at), line.unit)}`);
    this.tell(px, py, [`${iso(this.at)} UTC`, ...lines, ...marks.map(({ text }) => `▸ ${text}`)]);
  }

  #down(event) {
    if (event.button || !this.box) return;
    this.drag = { from: this.#ms(event.offsetX), to: this.#ms(event.offsetX) };
    this.canvas.setPointerCapture(event.pointerId);
  }

  #up(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
    if (this.onRange && this.x(to) - this.x(from) > 8) this.onRange(from, Math.max(to, from + SHORTEST_MS));
    else this.onPick?.(this.#ms(event.offsetX));
    this.redraw();
  }

  #key(event) {
    const step = (this.range?.[1] - this.range?.[0]) / 100;
    const by = { ArrowLeft: -step, ArrowRight: step }[event.key];
    if (by) {
      this.at = Math.min(this.range[1], Math.max(this.range[0], (this.at ?? this.range[1]) + by));
      this.#told(this.x(this.at), this.box.y);
      this.redraw();
    } else if (event.key === "Enter" && this.at !== null) this.onPick?.(this.at);
    else return;
    event.preventDefault();
  }
}

/** What a line said at a moment; null where it was not known. */
export function valueAt({ times_ms: times, values, spans }, ms) {
  if (spans && !spans.some(([from, to]) => from <= ms && ms <= to)) return null;
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= ms) low = middle + 1;
    else high = middle;
  }
  return low ? values[low - 1] : null;
}

export const amount = (value, unit = "") => (value === null || value === undefined ? NONE : unit === "%" ? `${WHOLE.format(value)}%` : WHOLE.format(value) + (unit === "ms" ? " ms" : ""));

const tickText = (value, step, unit) => (unit === "%" || unit === "ms" || Math.abs(step) < 10 ? WHOLE.format(value) : compact(value));
const iso = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
