// How scarce stock is, market by market: a field for each group of securities, darker the less there is; the figure stands in it,
// so that nobody needs the colour.

import { make } from "../grid/dom.js";
import { compact } from "../grid/formats.js";
import { Chart } from "./chart.js";

const LEFT = 44;
const TOP = 20;
const GAP = 2;
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** `heat(cell)`: 0 to 1, how scarce; `text(cell)`: what stands in the field. */
export const MEASURES = {
  median: { title: "utilisation, median", heat: (cell) => cell.utilisation / 100, text: (cell) => `${WHOLE.format(cell.utilisation)}%` },
  hot: { title: "securities used to 90% or more", heat: (cell) => cell.hot / cell.securities, text: (cell) => WHOLE.format(cell.hot) },
  money: { title: "what remains, in money", heat: (cell, most) => 1 - Math.max(0, cell.remaining_value) / most, text: (cell) => compact(cell.remaining_value) },
  empty: { title: "securities with nothing left", heat: (cell) => cell.short_of_stock / cell.securities, text: (cell) => WHOLE.format(cell.short_of_stock) },
};

export class HeatMap extends Chart {
  /** `onCell({market, group})`: a field was chosen. */
  constructor(host, { onCell = null, ...options }) {
    super(host, { title: "Scarcity", source: "IMS /api/v1/scarcity", ...options });
    Object.assign(this, { onCell, answer: null, measure: "median", at: [0, 0], cells: new Map(), over: null });
    this.table = make("table", { class: "spoken" });
    this.root.append(this.table);
    this.canvas.addEventListener("click", () => this.#choose(this.over));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** `answer`: of /api/v1/scarcity; `measure`: one of `MEASURES`. */
  show(answer, { measure = this.measure } = {}) {
    this.answer = answer;
    this.measure = measure;
    this.markets = [...new Set(answer.cells.map(({ market }) => market))].sort();
    this.groups = [...new Set(answer.cells.map(({ group }) => group))];
    this.cells = new Map(answer.cells.map((cell) => [`${cell.market} ${cell.group}`, cell]));
    this.say(answer.cells.length ? "" : "No security has stock yet: nothing can be scarce.");
    this.#speak();
    this.redraw();
  }

  get subtitle() {
    const as_of = this.answer?.as_of?.slice(0, 19).replace("T", " ");
    return `By market and ${this.answer?.by}: ${MEASURES[this.measure].title}${as_of ? ` · as of ${as_of} UTC` : ""}`;
  }

  paint(context, width, height, theme) {
    if (!this.answer) return;
    const { markets, groups } = this;
    const [w, h] = [(width - LEFT) / groups.length, (height - TOP) / markets.length];
    this.field = (mx, gx) => ({ x: LEFT + gx * w, y: TOP + mx * h, w: w - GAP, h: h - GAP });
    const most = Math.max(1, ...this.answer.cells.map((cell) => cell.remaining_value));
    const { heat, text } = MEASURES[this.measure];
    context.textBaseline = "middle";
    groups.forEach((group, gx) => {
      context.font = theme.font(10, 600);
      context.fillStyle = theme.muted;
      context.textAlign = "center";
      context.fillText(short(context, words(group), w - 6), LEFT + gx * w + w / 2, TOP / 2);
    });
    markets.forEach((market, mx) => {
      context.font = theme.font(11, 650);
      context.fillStyle = theme.text;
      context.textAlign = "right";
      context.fillText(market, LEFT - 8, TOP + mx * h + h / 2);
      groups.forEach((group, gx) => this.#field(context, theme, mx, gx, this.cells.get(`${market} ${group}`), (cell) => heat(cell, most), text));
    });
  }

  pointed(px, py) {
    this.over = this.#under(px, py);
    this.canvas.style.cursor = this.over && this.onCell ? "pointer" : "";
    if (this.over) this.tell(px, py, this.#words(this.over));
    else this.left();
    this.redraw();
  }

  left() {
    super.left();
    this.over = null;
    this.redraw();
  }

  #field(context, theme, mx, gx, cell, heat, text) {
    const { x, y, w, h } = this.field(mx, gx);
    if (!cell) {
      context.fillStyle = theme.grid;
      context.fillRect(x, y, w, h);
      return;
    }
    const part = Math.min(1, Math.max(0, heat(cell)));
    context.fillStyle = shade(part, theme.light);
    context.fillRect(x, y, w, h);
    context.fillStyle = theme.light ? (part > 0.62 ? "#ffffff" : "#16202c") : part > 0.62 ? "#16090a" : "#f2f5f8";
    context.textAlign = "center";
    context.font = theme.font(h > 26 ? 13 : 11, 650);
    context.fillText(text(cell), x + w / 2, y + h / 2 - (h > 44 ? 7 : 0));
    if (h > 44) {
      context.font = theme.font(10);
      context.fillText(short(context, `${cell.securities.toLocaleString("en-US")} securities`, w - 6), x + w / 2, y + h / 2 + 9);
    }
    if (this.over === cell) {
      context.strokeStyle = theme.text;
      context.lineWidth = 2;
      context.strokeRect(x + 1, y + 1, w - 2, h - 2);
    }
  }

  #under(px, py) {
    if (!this.field) return null;
    for (const [mx, market] of this.markets.entries()) {
      for (const [gx, group] of this.groups.entries()) {
        const { x, y, w, h } = this.field(mx, gx);
        if (px >= x && px < x + w && py >= y && py < y + h) return this.cells.get(`${market} ${group}`) ?? null;
      }
    }
    return null;
  }

  #words(cell) {
    const money = `${compact(cell.remaining_value)} ${this.answer.currency}`;
    return [`${cell.market} · ${words(cell.group)}`, `Utilisation, median: ${WHOLE.format(cell.utilisation)}%`, `Used to 90% or more: ${cell.hot.toLocaleString("en-US")} of ${cell.securities.toLocaleString("en-US")}`,
      `Remaining: ${compact(cell.remaining)} of ${compact(cell.pool)} shares, ${money}`, `Nothing left: ${cell.short_of_stock.toLocaleString("en-US")}`];
  }

  #choose(cell) {
    if (cell) this.onCell?.({ market: cell.market, group: cell.group });
  }

  #key(event) {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (by && this.answer && this.field) {
      const most = [this.markets.length - 1, this.groups.length - 1];
      this.at = this.at.map((place, i) => Math.min(most[i], Math.max(0, place + (this.over || i > 1 ? by[i] : 0))));
      const cell = this.cells.get(`${this.markets[this.at[0]]} ${this.groups[this.at[1]]}`) ?? null;
      const { x, y } = this.field(...this.at);
      this.over = cell;
      if (cell) this.tell(x, y, this.#words(cell));
      this.redraw();
    } else if (event.key === "Enter") this.#choose(this.over);
    else return;
    event.preventDefault();
  }

  /** The same as a table, for who cannot see it. */
  #speak() {
    const { text } = MEASURES[this.measure];
    const head = make("tr", {}, make("th", { scope: "col" }, "Market"), ...this.groups.map((group) => make("th", { scope: "col" }, words(group))));
    const rows = this.markets.map((market) => make("tr", {}, make("th", { scope: "row" }, market), ...this.groups.map((group) => {
      const cell = this.cells.get(`${market} ${group}`);
      return make("td", {}, cell ? text(cell) : "none");
    })));
    this.table.replaceChildren(make("caption", {}, `${this.title}: ${MEASURES[this.measure].title}`), make("thead", {}, head), make("tbody", {}, ...rows));
  }
}

const words = (name) => name.replaceAll("_", " ").toLowerCase().replace(/^./, (letter) => letter.toUpperCase()).replace(/^(etf|gc|htb)$/i, (name) => name.toUpperCase());

/** From plenty to nothing left; the same order of lightness throughout, so that it reads without hue, too. */
function shade(part, light) {
  const stops = light ? [[214, 232, 223], [250, 224, 160], [196, 60, 48]] : [[24, 54, 44], [122, 88, 22], [255, 130, 112]];
  const at = part * 2;
  const [low, high, between] = at < 1 ? [stops[0], stops[1], at] : [stops[1], stops[2], at - 1];
  return `rgb(${low.map((value, i) => Math.round(value + (high[i] - value) * between)).join(" ")})`;
}

function short(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 1 && context.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}
