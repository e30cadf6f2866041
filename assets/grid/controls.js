// The line above the grid: what to show of it. Every change becomes a view message at once; nothing goes through Python.

import { quantity } from "./formats.js";
import { make } from "./dom.js";

const TYPING_MS = 120;

export class Controls {
  /** `state` is changed in place; `onChange()` follows. `exportUrl()` is asked at the moment of the click. */
  constructor(host, state, { onChange, exportUrl, onTheme }) {
    this.state = state;
    this.onChange = onChange;
    this.search = make("input", {
      type: "search", placeholder: "Filter: name, symbol, ISIN, CUSIP, SEDOL…   f", "aria-label": "Filter by text", spellcheck: "false",
      autocomplete: "off", id: "search", oninput: () => this.#typed(),
    });
    this.search.value = state.text;
    this.markets = make("div", { class: "set", role: "group", "aria-label": "Markets" });
    this.temperatures = make("div", { class: "set", role: "group", "aria-label": "Temperatures" });
    this.today = this.#toggle("Changed today", () => state.changedToday, (on) => (state.changedToday = on), "today");
    this.clear = make("button", { class: "plain", type: "button", id: "clear", onclick: () => this.reset() }, "Clear");
    this.count = make("output", { id: "matches", "aria-live": "polite" }, "");
    this.notice = make("output", { id: "notice", role: "alert" }, "");
    this.link = make("a", { class: "button", id: "export", download: "", title: "Everything that matches, as CSV" }, "Export CSV");
    const renew = () => this.link.setAttribute("href", exportUrl());
    for (const event of ["pointerenter", "focus", "click"]) this.link.addEventListener(event, renew);
    const theme = make("button", { class: "plain", type: "button", id: "theme", title: "Dark or light", "aria-label": "Switch between dark and light", onclick: onTheme }, "◐");
    host.append(this.search, this.markets, this.temperatures, this.today, this.clear, this.notice, this.count, this.link, theme);
    document.addEventListener("keydown", (event) => this.#key(event));
    this.#clearable();
    renew();
  }

  /** The choices, known once the gateway has said hello. */
  offer(markets, temperatures) {
    const offered = [...markets, "", ...temperatures].join();
    if (offered === this.offered) return;
    this.offered = offered;
    const of = (names, chosen) =>
      names.map((name) =>
        this.#toggle(name, () => chosen().includes(name), (on) => {
          const kept = chosen().filter((each) => each !== name);
          chosen().splice(0, Infinity, ...kept, ...(on ? [name] : []));
        }, `choice-${name}`),
      );
    this.markets.replaceChildren(...of(markets, () => this.state.markets));
    this.temperatures.replaceChildren(...of(temperatures, () => this.state.temperatures));
  }

  matches(count, of) {
    this.count.textContent = of !== undefined && of !== count ? `${quantity(count)} of ${quantity(of)}` : quantity(count);
  }

  say(text) {
    this.notice.textContent = text;
  }

  reset() {
    const { state } = this;
    this.search.value = state.text = "";
    state.markets.length = 0;
    state.temperatures.length = 0;
    state.changedToday = false;
    this.#changed();
  }

  #toggle(label, get, set, id) {
    const button = make("button", { class: "toggle", type: "button", id, "aria-pressed": String(get()) }, label);
    button.addEventListener("click", () => {
      set(!get());
      this.#changed();
    });
    button.renew = () => button.setAttribute("aria-pressed", String(get()));
    return button;
  }

  #changed() {
    for (const button of [...this.markets.children, ...this.temperatures.children, this.today]) button.renew();
    this.#clearable();
    this.onChange();
  }

  #clearable() {
    const { text, markets, temperatures, changedToday } = this.state;
    this.clear.hidden = !(text || markets.length || temperatures.length || changedToday);
  }

  #typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      this.state.text = this.search.value.trim();
      this.#changed();
    }, TYPING_MS);
  }

  #key(event) {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key === "f" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      this.search.focus();
      this.search.select();
    }
  }
}
