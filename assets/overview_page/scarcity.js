// How scarce stock is by market and class of instrument: the chart of the page History, which this page takes where it is there.

import { inventory } from "./words.js";

const CHARTS = "../charts/";

export class Scarcity {
  /** `part`: what is shown or not; `host`: where the chart is drawn. */
  constructor(part, host) {
    Object.assign(this, { part, host, chart: null });
  }

  /** Fetch the chart. Nothing is shown before it is there and has something to show. */
  async begin() {
    const address = (name) => new URL(CHARTS + name, import.meta.url).href;
    const { HeatMap } = await import(address("heat_map.js"));
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: address("charts.css") }));
    this.chart = new HeatMap(this.host, { title: "Scarcity", onCell: ({ market, group }) => window.location.assign(inventory({ m: market, f: JSON.stringify([["classification", "in", [group]]]) })) });
  }

  /** `answer`: of /api/v1/scarcity; null where there is none. */
  show(answer) {
    this.part.hidden = !this.chart || !answer;
    if (!this.part.hidden && answer !== this.shown) this.chart.show(answer, { measure: "median" });
    this.shown = answer;
  }
}
