// A rate over the last minutes, as high as its highest point.

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 90;
const HEIGHT = 16;
/** Points there may be: the line grows from the right until it has them. */
const POINTS = 60;

export class Sparkline {
  constructor() {
    this.host = document.createElementNS(NS, "svg");
    this.line = document.createElementNS(NS, "polyline");
    this.host.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.host.setAttribute("class", "spark");
    this.host.setAttribute("role", "img");
    this.host.append(this.line);
    this.drawn = "";
  }

  /** `rates`: oldest first. */
  show(rates) {
    const most = Math.max(...rates, 0);
    const step = WIDTH / (POINTS - 1);
    const first = WIDTH - (rates.length - 1) * step;
    const points = rates.map((rate, i) => `${(first + i * step).toFixed(1)},${(most ? HEIGHT - 1.5 - (rate / most) * (HEIGHT - 3) : HEIGHT - 1.5).toFixed(1)}`).join(" ");
    if (points === this.drawn) return;
    this.drawn = points;
    this.line.setAttribute("points", points);
    const least = Math.min(...rates);
    this.host.setAttribute("aria-label", rates.length ? `between ${Math.round(least)} and ${Math.round(most)} a second in the last two minutes` : "no rate yet");
  }
}
