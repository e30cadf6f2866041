// Which security, or whose limit in it, which numbers, on which day, over which time.

import { make } from "../grid/dom.js";
import { picked } from "../page/picked.js";
import { local, utc } from "./range.js";

const LASTS = [["1h", "1 h"], ["8h", "8 h"], ["24h", "24 h"], ["7d", "7 d"], ["30d", "30 d"]];

export class Filters {
  constructor(host, page) {
    this.page = page;
    this.host = host;
    this.security = make("input", { name: "sec", placeholder: "Security: code, ISIN, TICKER@MARKET", "aria-label": "Security: code, ISIN, TICKER@MARKET", autocomplete: "off", spellcheck: "false" });
    this.scope = make("select", { name: "scope", "aria-label": "Client or aggregation unit" }, make("option", { value: "client" }, "Client limit"), make("option", { value: "au" }, "Unit limit"));
    this.owner = make("input", { name: "owner", placeholder: "Its name", "aria-label": "Name of the client or unit", autocomplete: "off", spellcheck: "false" });
    this.numbers = make("select", { name: "num", "aria-label": "Number", title: "Add a number to the chart, or take it away" });
    this.days = make("select", { name: "day", "aria-label": "Day", title: "Business day of the number" }, make("option", { value: "" }, "settlement day"), ...[0, 1, 2, 3, 4].map((day) => make("option", { value: String(day) }, `SD${day}`)));
    this.lasts = make("span", { class: "set", role: "group", "aria-label": "How long" }, ...LASTS.map(([value, text]) => make("button", { type: "button", value, onclick: () => page.go({ last: value, from: "", to: "" }) }, text)));
    this.from = make("input", { type: "datetime-local", name: "from", step: 1, "aria-label": "From, UTC", title: "From, UTC" });
    this.to = make("input", { type: "datetime-local", name: "to", step: 1, "aria-label": "To, UTC", title: "To, UTC" });
    this.at = make("input", { type: "datetime-local", name: "at", step: 1, "aria-label": "Past moment beside now, UTC", title: "Past moment beside now, UTC: or click on the chart" });
    const compare = make("label", { class: "at" }, "Beside now: ", this.at);
    host.append(this.scope, this.owner, this.security, this.numbers, this.days, this.lasts, this.from, this.to, compare);
    host.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#given();
    });
    for (const input of [this.scope, this.owner, this.security, this.days, this.at]) input.addEventListener("change", () => this.#given());
    for (const input of [this.from, this.to]) input.addEventListener("change", () => this.from.value && this.to.value && this.#given());
    this.numbers.addEventListener("change", () => this.#toggled());
  }

  /** Show the page's state, except where somebody is typing. */
  show(state, shown) {
    const put = (input, value) => input !== document.activeElement && input.value !== value && (input.value = value);
    put(this.security, state.sec);
    put(this.scope, state.scope);
    put(this.owner, state.owner);
    put(this.days, state.day);
    put(this.from, state.from ? local(Date.parse(state.from)) : "");
    put(this.to, state.to ? local(Date.parse(state.to)) : "");
    put(this.at, state.at ? local(Date.parse(state.at)) : "");
    for (const button of this.lasts.children) button.setAttribute("aria-pressed", String(!shown.from && button.value === state.last));
    const limits = state.view === "limits";
    const of = limits || state.view === "security";
    for (const part of [this.security, this.numbers, this.days, this.at.parentElement]) part.hidden = !of;
    for (const part of [this.scope, this.owner]) part.hidden = !limits;
  }

  /** `choices`: [{calculation, title}]; `chosen`: names of those on the chart. */
  offer(choices, chosen) {
    const told = JSON.stringify([choices, chosen]);
    if (told === this.told) return;
    this.told = told;
    const options = choices.map(({ calculation, title }) => make("option", { value: calculation }, `${chosen.includes(calculation) ? "☑" : "☐"} ${title}`));
    this.chosen = chosen;
    this.numbers.replaceChildren(make("option", { value: "" }, `${chosen.length} ${chosen.length === 1 ? "number" : "numbers"} ▾`), ...options);
    this.numbers.value = "";
  }

  #given() {
    // numbers of another sort of limit have other names
    const num = this.scope.value === this.page.state.scope ? {} : { num: "" };
    const state = { ...num, scope: this.scope.value, owner: this.owner.value.trim(), sec: this.security.value.trim(), day: this.days.value, from: utc(this.from.value), to: utc(this.to.value), at: utc(this.at.value) };
    if (state.sec !== this.page.state.sec) picked(state.sec);
    this.page.go(state);
  }

  #toggled() {
    const { value } = this.numbers;
    this.numbers.value = "";
    if (!value) return;
    const chosen = this.chosen.includes(value) ? this.chosen.filter((name) => name !== value) : [...this.chosen, value];
    if (chosen.length && chosen.length <= 8) this.page.go({ num: chosen.join(",") });
  }
}
