// Exports of everything that matches: a link that the browser downloads, and how far the gateway is with it.

import { quantity } from "./formats.js";
import { make } from "./dom.js";

const FORMS = [["csv", "CSV"], ["xlsx", "Excel (XLSX)"], ["arrow", "Arrow"]];
const SHOWN_AFTER_MS = 1000;
const POLL_MS = 400;
const LOST_AFTER = 8;

export class Exports {
  /** `address(form, id)`: of a file; `progress(id)`: of how far it is; `ready()`: before these are asked for; `say(text)`. */
  constructor(host, { address, progress, ready, say }) {
    this.ready = ready;
    this.address = address;
    this.progress = progress;
    this.say = say;
    this.host = host;
    this.bar = make("progress", { max: 1, value: 0, "aria-label": "Export" });
    this.text = make("span", {});
    this.host.append(this.text, this.bar);
    this.host.hidden = true;
    this.turn = 0;
  }

  items() {
    return FORMS.map(([form, label]) => ({ label, name: form, act: () => this.start(form) }));
  }

  async start(form) {
    await this.ready();
    const id = `grid-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;
    const link = make("a", { href: this.address(form, id), download: "", hidden: "" });
    document.body.append(link);
    link.click();
    link.remove();
    this.follow(id);
  }

  /** Ask how far it is until it is done; a bar is shown of what takes longer than a second. */
  async follow(id) {
    const turn = (this.turn += 1);
    const begun = performance.now();
    let unheard = 0;
    while (turn === this.turn) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      const now = await this.#ask(id);
      unheard = now ? 0 : unheard + 1;
      if (unheard >= LOST_AFTER) return this.#end("The export cannot be followed: see the browser's downloads");
      if (now?.state === "failed") return this.#end(`The export failed: ${now.detail}`);
      if (now?.state === "done") return this.#end(this.host.hidden ? "" : `Exported ${quantity(now.rows)} rows`);
      if (now && performance.now() - begun > SHOWN_AFTER_MS) this.#show(now);
    }
    return undefined;
  }

  async #ask(id) {
    try {
      const answer = await fetch(this.progress(id), { cache: "no-store" });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  }

  #show({ state, rows, written }) {
    this.host.hidden = false;
    const known = state === "writing" && rows;
    this.text.textContent = known ? `Exporting ${quantity(written)} of ${quantity(rows)}` : state === "waiting" ? "The export waits for its turn" : "Exporting: copying";
    if (known) this.bar.value = written / rows;
    else this.bar.removeAttribute("value");
  }

  #end(text) {
    this.host.hidden = true;
    if (text) this.say(text);
  }
}
