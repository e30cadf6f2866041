// A page that asks the service each second: the newest question wins, and what is shown from before looks like it.

import { fineAge } from "../grid/formats.js";
import { ApiError } from "./rest.js";

const POLL_MS = 1000;
/** The engine has stopped updating; what is on screen is old. */
export const LATE_MS = 5000;

/** Of a service whose state is not for everybody: who is kept to some clients sees theirs only. */
const UNTOLD = {};

export class LivePage {
  /** How the service fares does not need to be asked each second, where that is not what the page is about. */
  statusPolls = 3;

  /**
   * `parts`: elements root, notice, facts; `address`: an `Address`. A subclass has `load(newest, polled)`: ask, and show
   * what came if `newest()` still holds (`polled`: nobody but the clock wants it); and `blank(text, kind)`: say why nothing
   * is shown.
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

  async show({ polled = false } = {}) {
    const turn = ++this.turn;
    const newest = () => turn === this.turn;
    try {
      if ((this.polls % this.statusPolls === 0 && this.status !== UNTOLD) || !this.status) await this.#ask();
      if (newest()) await this.load(newest, polled);
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
      this.#answered();
      const told = { 403: [`You may not see this: ${error.message}.`, "refused"], 404: [error.message, "missing"] };
      this.blank(...(told[error.status] ?? [`This could not be shown: ${error.message}.`, "error"]));
      return;
    }
    const [name, text] = { 0: ["disconnected", "DISCONNECTED"], 503: ["starting", "STARTING"] }[error.status] ?? ["down", "ENGINE DOWN"];
    this.chip.show({ name, text, tip: `${error.message}; trying again` });
    root.dataset.state = "down";
    if (this.answeredAt === undefined) this.blank(`${error.status ? "The engine" : "The page server"} does not answer. All is shown as soon as it does.`, "down");
  }

  async #ask() {
    try {
      this.status = await this.api.status();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 403 || this.statusPolls === 1) throw error;
      this.status = UNTOLD;
      return;
    }
    this.skewMs = Date.parse(this.status.at) - Date.now();
  }

  #answered() {
    this.parts.root.dataset.state = "ready";
    this.answeredAt = performance.now();
    this.#aged();
    if (this.status) this.chip.show(this.judge());
  }

  /** What the chip says of the service. */
  judge() {
    if (this.status === UNTOLD) return { name: "live", text: "CONNECTED", tip: "The service answers. How its feeds fare is not yours to see" };
    const { ready, stale, heartbeat_age_ms: heartbeat } = this.status;
    if (!ready) return { name: "starting", text: "STARTING", tip: "Feeds hand over what existed at start" };
    if (heartbeat > LATE_MS) return { name: "stale", text: "ENGINE STUCK", tip: "The engine has stopped updating" };
    if (stale.includes("SHARES")) return { name: "stale", text: "STALE SHARES", tip: "Nothing is approved without a person. The page Health says why" };
    return { name: "live", text: "LIVE", tip: "Shares are current" };
  }

  // how old what is on screen is: said before anybody has to ask
  #aged() {
    if (this.answeredAt === undefined) return;
    const age = performance.now() - this.answeredAt;
    this.parts.facts.textContent = `${new Date(this.now).toISOString().slice(11, 19)} UTC · seen ${fineAge(age)} ago`;
    this.parts.facts.classList.toggle("bad", age > LATE_MS);
  }

  /** Something has happened: do not wait for the next second. */
  rung = () => {
    this.again = this.polling;
    if (!this.polling) this.#look();
  };

  #poll() {
    this.polls += 1;
    if (!this.polling) this.#look();
  }

  async #look() {
    if (document.hidden) return;
    this.polling = true;
    try {
      do {
        this.again = false;
        await this.show({ polled: true });
      } while (this.again); // it rang while the answer was on its way
    } finally {
      this.polling = false;
    }
  }
}
