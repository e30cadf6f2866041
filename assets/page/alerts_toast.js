// A word in the corner when an alert begins: it never takes the focus, and goes by itself unless it is critical.

import { make } from "../grid/dom.js";
import { security, valuesOf } from "./alerts_words.js";

const MOST = 4;
const STAYS_MS = 10_000;
const TONE_HZ = 660;
const TONE_S = 0.18;
const RESUME_MS = 500;

export class Toasts {
  constructor(alerts) {
    this.alerts = alerts;
    this.shown = new Map();
    this.host = make("section", { class: "toasts", "aria-label": "New alerts", "aria-live": "polite", "aria-relevant": "additions" });
    document.body.append(this.host);
  }

  /** What is over, or seen, needs no word any more. */
  keep(events) {
    for (const [id, toast] of this.shown) if (events.get(id)?.state !== "raised") this.#drop(id, toast);
  }

  tell(events) {
    if (!events.length) return;
    const room = Math.max(0, MOST - this.shown.size);
    for (const event of events.slice(0, room)) this.#add(event);
    this.#more(events.length - room);
    if (events.some(({ sound }) => sound)) ring();
  }

  #add(event) {
    const drop = () => this.#drop(event.id, toast);
    const seen = make("button", { type: "button", onclick: async () => {
      const wrong = await this.alerts.acknowledge([event]);
      if (wrong) said.textContent = wrong;
      else drop();
    } }, "Acknowledge");
    const said = make("span", { class: "bad" });
    const toast = make("div", { class: `toast ${event.severity}` },
      make("b", { class: "kind" }, event.severity), make("strong", {}, event.name), make("span", {}, security(event), " ", valuesOf(event)), said,
      make("span", { class: "buttons" }, seen, make("button", { type: "button", "aria-label": `Close: ${event.name}`, onclick: drop }, "✕")));
    this.shown.set(event.id, toast);
    this.host.append(toast);
    if (event.severity !== "critical") this.#goes(event.id, toast);
  }

  /** By itself, unless somebody is at it. */
  #goes(id, toast) {
    setTimeout(() => (toast.matches(":hover, :focus-within") ? this.#goes(id, toast) : this.#drop(id, toast)), STAYS_MS);
  }

  #drop(id, toast) {
    toast.remove();
    this.shown.delete(id);
    if (!this.shown.size) this.#more(0);
  }

  #more(count) {
    this.rest?.remove();
    this.rest = count > 0 ? make("button", { type: "button", class: "toast rest", onclick: () => { this.alerts.panel.open(); this.#more(0); } }, `and ${count} more: show all`) : null;
    if (this.rest) {
      const { rest } = this;
      this.host.append(rest);
      setTimeout(() => rest.remove(), STAYS_MS);
    }
  }
}

/** Two short tones; a browser that has not been touched yet keeps silent. */
async function ring() {
  const context = new AudioContext();
  // a new one may begin suspended everywhere; where nobody has touched the page, to resume it never ends
  await Promise.race([context.resume(), new Promise((done) => setTimeout(done, RESUME_MS))]);
  if (context.state !== "running") {
    context.close();
    return;
  }
  const gain = new GainNode(context, { gain: 0.08 });
  gain.connect(context.destination);
  [0, TONE_S * 1.4].forEach((at, number) => {
    const tone = new OscillatorNode(context, { frequency: TONE_HZ * (1 + number / 4) });
    tone.connect(gain);
    tone.start(context.currentTime + at);
    tone.stop(context.currentTime + at + TONE_S);
    if (number) tone.addEventListener("ended", () => context.close());
  });
}
