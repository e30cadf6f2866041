// A page that asks the service each second: the newest question wins, and what is shown from before looks like it.

import { fineAge } from "../grid/formats.js";
import { ApiError } from "./rest.js";

const POLL_MS = 1000;
const LATE_MS = 5000;
/** How the service fares does not need to be asked each second. */
const STATUS_POLLS = 3;

export class LivePage {
  /**
   * `parts`: elements root, notice, facts; `address`: an `Address`. A subclass has `load(newest)`: ask, and show what came
   * if `newest()` still holds; and `blank(text, kind)`: say why nothing is shown.
   */
  constructor(api, parts, chip, address) {
    Object.assign(this, { api, parts, chip, address, state: address.read(), status: null, turn: 0, polls: 0, skewMs: 0 });
    window.addEventListener("popstate", () => {
      this.state = address.read();
      this.show();
    });
    setInterval(() => this.#poll(), POLL_MS);
    setInterval(() => this.#aged(), 250);
  }

  /** The service's time, in milliseconds. */
  get now() {
    return Date.now() + this.skewMs;
  }

  may(...roles) {
    return this.api.session.roles.some((role) => roles.includes(role));
  }

  go(change, { step = true } = {}) {
    this.state = { ...this.state, ...change };
    this.address.write(this.state, { step });
    return this.show();
  }

  async show() {
    const turn = ++this.turn;
    const newest = () => turn === this.turn;
    try {
      if (this.polls % STATUS_POLLS === 0 || !this.status) await this.#ask();
      await this.load(newest);
      if (newest()) this.#answered();
    } catch (error) {
      if (newest()) this.failed(error);
    }
  }

  say(text, kind = "") {
    this.parts.notice.textContent = text;
    this.parts.notice.dataset.kind = kind;
  }

  /** Do something; what goes wrong is said where it is seen. Undefined where it went wrong. */
  async attempt(something) {
    this.parts.root.setAttribute("aria-busy", "true");
    try {
      return await something();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.say(`Refused: ${error.message}`, "bad");
      return undefined;
    } finally {
      this.parts.root.removeAttribute("aria-busy");
    }
  }

  failed(error) {
    if (!(error instanceof ApiError)) throw error;
    const { root } = this.parts;
    if (!error.away) {
      this.#chip();
      const refused = error.status === 403;
      this.blank(refused ? `You may not see this: ${error.message}.` : `This could not be shown: ${error.message}.`, refused ? "refused" : "error");
      root.dataset.state = "ready";
      return;
    }
    const [name, text] = { 0: ["disconnected", "DISCONNECTED"], 503: ["starting", "STARTING"] }[error.status] ?? ["down", "ENGINE DOWN"];
    this.chip.show({ name, text, tip: `${error.message}; trying again` });
    root.dataset.state = "down";
    if (this.answeredAt === undefined) this.blank(`${error.status ? "The engine" : "The page server"} does not answer. All is shown as soon as it does.`, "down");
  }

  async #ask() {
    this.status = await this.api.status();
    this.skewMs = Date.parse(this.status.at) - Date.now();
  }

  #answered() {
    this.parts.root.dataset.state = "ready";
    this.answeredAt = performance.now();
    this.#aged();
    this.#chip();
  }

  #chip() {
    if (!this.status) return;
    const { ready, stale, heartbeat_age_ms: heartbeat } = this.status;
    if (!ready) this.chip.show({ name: "starting", text: "STARTING", tip: "Feeds hand over what existed at start" });
    else if (heartbeat > LATE_MS) this.chip.show({ name: "stale", text: "ENGINE STUCK", tip: "The engine has stopped updating" });
    else if (stale.includes("SHARES")) this.chip.show({ name: "stale", text: "STALE SHARES", tip: "Nothing is approved without a person. The page Health says why" });
    else this.chip.show({ name: "live", text: "LIVE", tip: "Shares are current" });
  }

  // how old what is on screen is: said before anybody has to ask
  #aged() {
    if (this.answeredAt === undefined) return;
    const age = performance.now() - this.answeredAt;
    this.parts.facts.textContent = `${new Date(this.now).toISOString().slice(11, 19)} UTC · seen ${fineAge(age)} ago`;
    this.parts.facts.classList.toggle("bad", age > LATE_MS);
  }

  async #poll() {
    if (document.hidden || this.polling) return;
    this.polling = true;
    this.polls += 1;
    try {
      await this.show();
    } finally {
      this.polling = false;
    }
  }
}
