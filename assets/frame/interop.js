// FDC3: what a person picks is broadcast to the other windows of the desktop agent, and what they broadcast is followed.
// Never in a circle: what was heard is not said again, and what was said is not heard.

import { lastPicked } from "../page/picked.js";
import { hearSecurity } from "./securities.js";

const TYPE = "fdc3.instrument";
/** Names of an instrument that lead to one security, the surest first. */
const NAMES = ["ISIN", "FIGI", "CUSIP", "SEDOL", "RIC"];

/** A security as FDC3's context of an instrument; what is not known is left out. */
export function instrument({ code, name, ticker, isin, cusip, sedol, figi, mic, country }) {
  const known = (all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value));
  const market = known({ MIC: mic, COUNTRY_ISOALPHA2: country });
  return { type: TYPE, name: name || code, id: known({ ticker, ISIN: isin, CUSIP: cusip, SEDOL: sedol, FIGI: figi }), ...(Object.keys(market).length && { market }) };
}

/** Texts by which a context's instrument may be known here, the surest first. */
export function namesOf({ id = {}, market = {} }) {
  const names = NAMES.map((name) => id[name]).filter(Boolean);
  if (id.ticker && market?.MIC) names.push(`${id.ticker}@${market.MIC}`);
  else if (id.ticker?.includes("@")) names.push(id.ticker);
  return names.map(String);
}

/** The agent and the search are others' work: what fails there is told, and the page goes on. */
async function tried(something) {
  try {
    await something;
  } catch (error) {
    console.info("fdc3:", error.message);
  }
}

class Interop {
  constructor(securities) {
    this.securities = securities;
    /** The security that other windows know of: the last that was heard or said. */
    this.shared = "";
    /** Of the last that was picked or heard: what is older is not followed. */
    this.turn = 0;
    /** What was picked before this was there, or before an agent was. */
    this.waiting = lastPicked();
    document.addEventListener("ims-picked", ({ detail }) => tried(this.#picked(detail.code)));
    if (window.fdc3) tried(this.#join(window.fdc3));
    else window.addEventListener("fdc3Ready", () => tried(this.#join(window.fdc3)), { once: true });
  }

  async #join(agent) {
    this.agent = agent;
    await agent.addContextListener(TYPE, (context) => tried(this.#hear(context)));
    document.documentElement.dataset.fdc3 = "joined";
    if (this.waiting) await this.#picked(this.waiting);
  }

  async #picked(code) {
    this.waiting = code;
    if (!this.agent || !code || code === this.shared) return;
    this.shared = code;
    this.turn++; // what was heard before, and is still looked up, is older than this
    const { found } = await this.securities.search(code, { limit: 1, exact: true });
    if (this.shared !== code || !found.length) return; // another one was picked, or heard, meanwhile
    await this.agent.broadcast(instrument(found[0]));
  }

  async #hear(context) {
    if (context?.type !== TYPE) return;
    const turn = ++this.turn;
    for (const name of namesOf(context)) {
      const { found } = await this.securities.search(name, { limit: 2, exact: true });
      if (turn !== this.turn) return; // something newer was heard, or picked
      if (found.length !== 1) continue; // nobody here, or not one
      const [{ code }] = found;
      if (code === this.shared) return;
      const shared = this.shared;
      this.shared = code; // before it is followed: what follows is not said again
      if (!hearSecurity(code)) this.shared = shared;
      return;
    }
  }
}

/** The page's tie to a desktop agent, should it run in one. */
export const follow = (securities) => new Interop(securities);
