// The page Overview: the whole desk at a glance. Asks each second for what moves, less often for what does not, and what one source
// cannot say is said in its own place.

import { verdict } from "../health_page/words.js";
import { LivePage } from "../page/live.js";
import { Activity } from "./activity.js";
import { MarketsView } from "./markets_view.js";
import { Scarcity } from "./scarcity.js";
import { Side } from "./side.js";
import { Source } from "./source.js";
import { Tiles } from "./tiles.js";

const NEWEST = 30;
/** Older than this is not of now. */
const LATE_MS = 5000;

export class OverviewPage extends LivePage {
  /** `parts`: elements root, verdict, notice, facts, tiles, marketsPart, byMarket, scarcityPart, scarcity, activity, side. */
  constructor(api, parts, chip, address) {
    super(api, parts, chip, address);
    this.tiles = new Tiles(parts.tiles);
    this.markets = new MarketsView(parts.byMarket);
    this.activity = new Activity(parts.activity, this);
    this.side = new Side(parts.side);
    this.scarcity = new Scarcity(parts.scarcityPart, parts.scarcity);
    this.pages = new Set([...document.querySelectorAll(".pages a")].map((link) => link.getAttribute("href")));
    const stands = (path, source) => (this.pages.has(path) ? source : null);
    this.sources = {
      sums: new Source(() => api.sums(), 900),
      pending: new Source(() => api.totals({ state: "pending" }), 2000),
      today: new Source(() => api.totals({ date: this.date }), 2000),
      locates: new Source(async () => (await api.locates(NEWEST)).locates, 2000),
      orders: new Source(async () => (await api.orders(NEWEST)).orders, 2000),
      breaks: stands("/breaks", new Source(() => api.breaks(), 5000)),
      newBreaks: stands("/breaks", new Source(async () => (await api.newBreaks(NEWEST)).breaks, 5000)),
      scarcity: stands("/history", new Source(() => api.scarcity(), 5000)),
      alerts: document.querySelector("script[src*='page/alerts.js']") ? new Source(() => api.alerts(), 5000) : null,
    };
  }

  /** What the page borrows of others, where they are there. */
  async begin() {
    if (this.sources.scarcity) await this.scarcity.begin();
  }

  /** The day that locates are counted by. */
  get date() {
    return new Date(this.now).toISOString().slice(0, 10);
  }

  async load(newest, polled) {
    // the gateway answers for itself: it is not waited for by what the engine says, nor the other way round
    const asked = Object.values(this.sources).filter(Boolean).map((source) => source.renew(!polled || this.again === true));
    await Promise.all(asked);
    if (newest()) this.#lay();
  }

  blank(text, kind) {
    this.tiles.blank(text, kind);
    this.activity.blank(text, kind);
  }

  failed(error) {
    super.failed(error);
    // the service's state may be away while the gateway has numbers
    if (error.away) this.#sums();
  }

  #lay() {
    const { sums, pending, today, locates, orders, breaks, newBreaks, alerts } = this.sources;
    this.#sums();
    const status = this.status?.feeds ? this.status : null;
    this.side.health(status, sums.answer);
    this.side.locates(pending.answer, today.answer, this.date);
    this.side.trouble(alerts?.answer ?? null, breaks?.answer ?? null);
    this.scarcity.show(this.sources.scarcity?.answer ?? null);
    // that nothing was decided is not what a refusal says
    if (locates.problem === "refused" && orders.problem === "refused") this.activity.blank(`You may not see this: ${locates.why}.`, "refused");
    else this.activity.show(locates.answer ?? [], orders.answer ?? [], newBreaks?.answer ?? [], this.pages.has("/breaks"));
    const { text, level } = status ? verdict(status) : { text: "", level: "" };
    this.parts.verdict.dataset.level = level;
    if (this.parts.verdict.textContent !== text) this.parts.verdict.textContent = text;
    const missing = [[sums.problem === "refused", "sums over all clients"], [!status, "feeds and processes"], [breaks?.absent, "breaks"], [alerts?.absent, "alerts"]].filter(([yes]) => yes).map(([, what]) => what);
    this.side.say(missing.length ? `Not shown to you: ${missing.join(", ")}.` : "");
  }

  #sums() {
    const { sums } = this.sources;
    const { root, marketsPart } = this.parts;
    const old = performance.now() - sums.at > LATE_MS;
    marketsPart.hidden = sums.problem === "refused";
    this.parts.tiles.hidden = sums.problem === "refused";
    root.dataset.sums = sums.answer ? (old ? "late" : sums.answer.stats.state) : sums.state;
    if (sums.answer) {
      if (!sums.answer.markets.some(({ securities }) => securities)) this.tiles.blank("No security is known yet: sums appear with the first.", "");
      else this.tiles.show(sums.answer);
      this.markets.show(sums.answer);
      return;
    }
    const why = { away: "The gateway does not answer: sums are shown as soon as it does.", late: "There is no engine to look at: sums are shown as soon as there is." }[sums.problem];
    if (why) this.tiles.blank(why, "down");
  }
}
