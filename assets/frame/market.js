// The clock of one market, chosen by whoever looks and kept in the browser: its time, whether it trades, and how long still.

import { make } from "../grid/dom.js";

const KEPT = "ims-market";
const READ_AGAIN_MS = 3_600_000;
const TRY_AGAIN_MS = 2000;

/** What a market does at a moment: {state, word, half, next: [[word, ms from now]], session}. Times in ms since 1970. */
export function look(days, now) {
  const today = days.find(({ opens, closes }) => now >= opens && now < closes);
  if (today) {
    const { pause, resume, closes, cutoff, half = false } = today;
    const next = [["closes", closes - now]];
    if (cutoff && now < cutoff) next.unshift(["cut-off", cutoff - now]);
    if (pause && now >= pause && now < resume) return { state: "pause", word: "PAUSE", half, next: [["goes on", resume - now], ...next], session: today };
    return { state: "open", word: half ? "HALF DAY" : "OPEN", half, next, session: today };
  }
  const coming = days.find(({ opens }) => opens > now);
  const half = Boolean(coming?.half);
  return { state: "closed", word: "CLOSED", half, next: coming ? [[half ? "half day opens" : "opens", coming.opens - now]] : [], session: coming };
}

/** 3d 4h, 2h 05m, 12m 07s, 9s. */
export function until(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (s >= 86_400) return `${Math.floor(s / 86_400)}d ${Math.floor((s % 86_400) / 3600)}h`;
  if (s >= 3600) return `${Math.floor(s / 3600)}h ${two(Math.floor((s % 3600) / 60))}m`;
  if (s >= 60) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  return `${s}s`;
}

const ICONS = { open: "●", pause: "◐", closed: "○" };
const formats = new Map();

/** Time of day in a market; with the weekday where it is another day than in UTC. */
function local(zone, now, seconds = true) {
  const key = `${zone} ${seconds}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, weekday: "short", hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }), hourCycle: "h23" }));
  return formats.get(key).format(now).replace(",", "");
}

export class MarketClock {
  constructor(host) {
    this.host = host;
    this.markets = [];
    this.skewMs = 0;
    this.button = make("button", { type: "button", id: "clock", "aria-haspopup": "dialog", "aria-expanded": "false", popovertarget: "markets" });
    this.parts = { code: make("b"), time: make("span", { class: "time" }), state: make("span", { class: "state" }), next: make("span", { class: "next" }) };
    this.button.append(...Object.values(this.parts));
    this.body = make("tbody");
    const heads = ["Market", "Local time", "", "Cut-off in", "Closes in", "Opens in"].map((text) => make("th", { scope: "col" }, text));
    this.list = make("div", { id: "markets", popover: "auto", role: "dialog", "aria-label": "Clocks of all markets" },
      make("table", { "aria-label": "Markets: choose whose clock is shown" }, make("thead", {}, make("tr", {}, ...heads)), this.body));
    this.list.addEventListener("toggle", ({ newState }) => {
      this.shown = newState === "open";
      this.button.setAttribute("aria-expanded", String(this.shown));
      if (this.shown) this.#place();
      else if (this.list.contains(document.activeElement) || document.activeElement === document.body) this.button.focus();
    });
    this.list.addEventListener("click", (event) => event.target.closest("tr[data-market]") && this.choose(event.target.closest("tr").dataset.market));
    this.list.addEventListener("keydown", (event) => {
      if (event.key === "Escape") event.stopPropagation();
      const to = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      document.activeElement.closest("tr")?.[to]?.querySelector("button")?.focus();
    });
    this.problem = "";
  }

  async begin() {
    this.host.append(this.button, this.list);
    this.button.hidden = true;
    await this.#read();
    setInterval(() => this.tick(), 1000);
  }

  get now() {
    return Date.now() + this.skewMs;
  }

  choose(code) {
    this.chosen = this.markets.find((market) => market.code === code) ?? this.markets[0];
    localStorage.setItem(KEPT, this.chosen.code);
    if (this.shown) this.list.hidePopover();
    this.tick();
  }

  // sessions reach two weeks ahead: a page that is open for longer reads them again long before
  async #read() {
    let wait = TRY_AGAIN_MS;
    try {
      const answer = await fetch("/markets", { cache: "no-store" });
      if (answer.ok) {
        const { now, markets } = await answer.json();
        this.skewMs = now - Date.now();
        if (markets.length) {
          this.#take(markets);
          wait = READ_AGAIN_MS;
        }
      }
    } catch (error) {
      console.info("markets: asked again", error.message);
    }
    setTimeout(() => this.#read(), wait);
  }

  #take(markets) {
    this.markets = markets;
    const kept = localStorage.getItem(KEPT);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    this.chosen = markets.find(({ code }) => code === kept) ?? markets.find((market) => market.time_zone === zone) ?? markets[0];
    this.rows = markets.map((market) => {
      const choose = make("button", { type: "button", title: market.mic || market.time_zone }, market.code);
      const cells = Array.from({ length: 5 }, () => make("td"));
      this.body.append(make("tr", { "data-market": market.code }, make("th", { scope: "row" }, choose), ...cells));
      return { market, choose, cells };
    });
    this.body.replaceChildren(...this.rows.map(({ choose }) => choose.closest("tr")));
    this.button.hidden = !this.chosen;
    this.tick();
  }

  tick() {
    if (!this.chosen || document.hidden) return;
    const { code, time_zone: zone, days } = this.chosen;
    const seen = look(days, this.now);
    const { parts } = this;
    parts.code.textContent = code;
    parts.time.textContent = local(zone, this.now).slice(4);
    parts.state.textContent = `${ICONS[seen.state]} ${seen.word}`;
    parts.next.textContent = seen.next.map(([word, ms]) => `${word} ${until(ms)}`).join(" · ");
    const late = seen.next.some(([word, ms]) => word !== "opens" && word !== "half day opens" && ms < 15 * 60_000);
    this.button.dataset.state = seen.state;
    this.button.toggleAttribute("data-soon", seen.state !== "closed" && late);
    this.button.title = `${local(zone, this.now)} in ${code} (${zone}). ${seen.next.map(([word, ms]) => `${word} in ${until(ms)}`).join(", ")}`;
    if (this.shown) this.#fill();
  }

  #fill() {
    for (const { market, choose, cells } of this.rows) {
      const seen = look(market.days, this.now);
      const next = Object.fromEntries(seen.next);
      const opens = next.opens ?? next["half day opens"] ?? next["goes on"];
      const texts = [local(market.time_zone, this.now), `${ICONS[seen.state]} ${seen.half && seen.state === "closed" ? "CLOSED · HALF DAY NEXT" : seen.word}`, ...[next["cut-off"], next.closes, opens].map((ms) => (ms === undefined ? "–" : until(ms)))];
      texts.forEach((text, at) => cells[at].textContent !== text && (cells[at].textContent = text));
      cells[1].dataset.state = seen.state;
      choose.setAttribute("aria-pressed", String(market === this.chosen));
    }
  }

  #place() {
    this.#fill();
    const { left, bottom } = this.button.getBoundingClientRect();
    const width = this.list.offsetWidth;
    this.list.style.left = `${Math.max(4, Math.min(left, window.innerWidth - width - 4))}px`;
    this.list.style.top = `${bottom + 2}px`;
    this.rows.find(({ market }) => market === this.chosen)?.choose.focus();
  }
}
