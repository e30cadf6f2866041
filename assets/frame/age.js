// How old the newest event is, and what makes the data doubtful: said by the page's own socket, or asked of the page server.

import { make } from "../grid/dom.js";
import { age, fineAge } from "../grid/formats.js";

const ASK_MS = 2000;
/** A page that has its own source of it tells twice a second. */
const TOLD_MS = 4000;
const TROUBLES = { SHARES: "shares", MONEY: "prices", REFERENCE: "names", STATEMENTS: "custodians' statements" };

export class AgeOfData {
  constructor(host) {
    this.number = make("b", {}, "–");
    this.words = make("span", { class: "why" });
    this.link = make("a", { href: "/feeds", class: "age" }, make("small", {}, "Data "), this.number, this.words);
    host.append(this.link);
    this.toldAt = -Infinity;
    this.told = null;
  }

  begin() {
    document.addEventListener("ims-data", ({ detail }) => {
      this.toldAt = performance.now();
      this.#take(detail);
    });
    setTimeout(() => this.#ask(), 0);
    setInterval(() => this.#ask(), ASK_MS);
    setInterval(() => this.#show(), 500);
  }

  async #ask() {
    if (document.hidden || performance.now() - this.toldAt < TOLD_MS) return;
    try {
      const answer = await fetch("/pulse", { cache: "no-store" });
      if (answer.ok) this.#take(await answer.json());
    } catch (error) {
      console.info("pulse: asked again", error.message); // the age grows, and says so
    }
  }

  #take(told) {
    this.told = told;
    this.at = performance.now();
    this.#show();
  }

  #show() {
    if (!this.told) return;
    const silent = performance.now() - this.at;
    const { state, event_age_ms: old, heartbeat_age_ms: heartbeat, doubtful = [], reasons = [] } = this.told;
    const known = old !== null && old !== undefined;
    const why = [];
    if (silent > 3 * ASK_MS) why.push(`nothing heard for ${age(silent)}`);
    if (state === "down") why.push("no engine");
    if (state === "starting") why.push("starting");
    if (state === "stale" && heartbeat > 2000) why.push(`engine stopped ${age(heartbeat)} ago`);
    why.push(...doubtful.map((name) => `${TROUBLES[name] ?? name.toLowerCase()} doubtful`));
    const bad = silent > 3 * ASK_MS || state === "down" || state === "stale";
    this.number.textContent = known ? fineAge(old + silent) : "–";
    this.words.textContent = why.length ? ` · ${why.join(", ")}` : "";
    this.link.dataset.tone = bad ? "bad" : why.length ? "warn" : "";
    this.link.title = [known ? `The newest event is ${fineAge(old + silent)} old` : "No event has come", ...why, ...reasons, "Details on the page Health"].join("\n");
  }
}
