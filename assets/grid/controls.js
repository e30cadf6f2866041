// The line above the grid: what to show of it. Every change becomes a view message at once; nothing goes through Python.

import { quantity } from "./formats.js";
import { make } from "./dom.js";

const TYPING_MS = 120;
const SAID_MS = 6000;

export class Controls {
  /**
   * `state` is changed in place; `onChange(typing)` follows. `exportUrl()` is asked at the moment of the click; `onExports`,
   * `onBar`, `onHelp`, `onTheme`: the other buttons.
   */
  constructor(host, state, { table, onChange, exportUrl, onExports, onBar, onHelp, onTheme }) {
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
    this.today.hidden = !table.today;
    this.clear = make("button", { class: "plain", type: "button", id: "clear", onclick: () => this.reset() }, "Clear");
    this.count = make("output", { id: "matches", "aria-live": "polite" }, "");
    this.notice = make("output", { id: "notice", role: "alert" }, "");
    this.said = make("output", { id: "said", "aria-live": "polite" }, "");
    this.progress = make("span", { id: "export-progress", role: "status" });
    this.views = make("span", { id: "views" });
    const bar = make("button", { type: "button", id: "bar-toggle", title: "Group, pivot, totals, highlights", onclick: onBar }, "Group…");
    this.link = make("a", { class: "button", id: "export", download: "", title: "Everything that matches, as CSV" }, "Export CSV");
    const renew = () => this.link.setAttribute("href", exportUrl());
    for (const event of ["pointerenter", "focus", "click"]) this.link.addEventListener(event, renew);
    const more = make("button", { type: "button", id: "export-more", title: "Other forms", "aria-label": "Export in other forms", "aria-haspopup": "menu", onclick: () => onExports(more) }, "▾");
    const help = make("button", { class: "plain", type: "button", id: "keys", title: "Keys (?)", "aria-label": "All keys", onclick: onHelp }, "?");
    const theme = make("button", { class: "plain", type: "button", id: "theme", title: "Dark or light", "aria-label": "Switch between dark and light", onclick: onTheme }, "◐");
    host.append(this.views, this.search, this.markets, this.temperatures, this.today, this.clear, this.notice, this.said, this.progress, this.count, bar, make("span", { class: "set" }, this.link, more), help, theme);
    document.addEventListener("keydown", (event) => this.#key(event, onHelp));
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

  /** Show what the state is now: somebody else has changed it. */
  renew() {
    if (this.search.value.trim() !== this.state.text) this.search.value = this.state.text;
    for (const button of [...this.markets.children, ...this.temperatures.children, this.today]) button.renew();
    this.#clearable();
  }

  /** `of`: how many there are in all; less where that is not told. */
  matches(count, of) {
    this.count.textContent = of > count ? `${quantity(count)} of ${quantity(of)}` : quantity(count);
  }

  /** What went wrong. */
  say(text) {
    this.notice.textContent = text;
  }

  /** What was done; it goes away by itself. */
  tell(text) {
    this.said.textContent = text;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.said.textContent = ""), SAID_MS);
  }

  reset() {
    const { state } = this;
    state.text = "";
    state.markets.length = 0;
    state.temperatures.length = 0;
    state.changedToday = false;
    state.where = [];
    this.#changed(false);
  }

  #toggle(label, get, set, id) {
    const button = make("button", { class: "toggle", type: "button", id, "aria-pressed": String(get()) }, label);
    button.addEventListener("click", () => {
      set(!get());
      this.#changed(false);
    });
    button.renew = () => button.setAttribute("aria-pressed", String(get()));
    return button;
  }

  #changed(typing) {
    if (!typing) this.renew();
    this.#clearable();
    this.onChange(typing);
  }

  #clearable() {
    const { text, markets, temperatures, changedToday, where } = this.state;
    this.clear.hidden = !(text || markets.length || temperatures.length || changedToday || where.length);
  }

  #typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      this.state.text = this.search.value.trim();
      this.#changed(true);
    }, TYPING_MS);
  }

  #key(event, onHelp) {
    if (event.target.closest?.("input, select, textarea, dialog, [popover]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.defaultPrevented) return;
    if (event.key === "?") onHelp();
    else if (event.key === "f") {
      this.search.focus();
      this.search.select();
    } else return;
    event.preventDefault();
  }
}
