// The search for a security: opens over any page, answers while somebody types, and says why it has found nothing.

import { make } from "../grid/dom.js";
import { ApiError } from "../page/rest.js";
import { openSecurity } from "./securities.js";

const TYPING_MS = 60;
const WAITING_MS = 400;
const EXAMPLES = "ISIN, CUSIP, SEDOL, FIGI, RIC, ticker, ticker@market, or words of its name";
const WHAT = { isin: "ISIN", cusip: "CUSIP", sedol: "SEDOL", figi: "FIGI", code: "code", other: "by another name" };

export class Finder {
  constructor(securities) {
    this.securities = securities;
    this.hits = [];
    this.at = -1;
  }

  async open(text = "") {
    this.#make();
    if (!this.dialog.open) this.dialog.showModal();
    this.input.value = text;
    this.input.focus();
    this.#say(EXAMPLES);
    this.#list([]);
    try {
      await this.securities.prepare();
    } catch (error) {
      this.#failed(error);
      return;
    }
    if (this.input.value) this.#ask();
  }

  #make() {
    if (this.dialog) return;
    this.input = make("input", {
      id: "find-text", type: "text", role: "combobox", "aria-label": "Find a security", "aria-autocomplete": "list", "aria-expanded": "false",
      "aria-controls": "find-list", "aria-describedby": "find-told", autocomplete: "off", spellcheck: "false", maxlength: 100, placeholder: "Find a security…",
      oninput: () => this.#typed(), onkeydown: (event) => this.#key(event),
    });
    this.list = make("ul", { id: "find-list", role: "listbox", "aria-label": "Securities" });
    this.list.addEventListener("click", (event) => this.#choose([...this.list.children].indexOf(event.target.closest("li"))));
    this.list.addEventListener("pointermove", (event) => event.movementX + event.movementY && this.#point([...this.list.children].indexOf(event.target.closest("li"))));
    this.told = make("p", { id: "find-told", role: "status", "aria-live": "polite" });
    const close = make("button", { type: "button", class: "plain", "aria-label": "Close the search", title: "Esc", onclick: () => this.dialog.close() }, "✕");
    const keys = make("p", { class: "keys", "aria-hidden": "true" }, "↑ ↓ choose · Enter opens · Esc closes");
    this.dialog = make("dialog", { id: "finder", "aria-label": "Find a security" }, make("div", { class: "ask-line" }, this.input, close), this.list, this.told, keys);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (event) => event.key === "Escape" && event.stopPropagation()); // it closes the search, and nothing below
    this.dialog.addEventListener("close", () => this.asking?.abort());
    document.body.append(this.dialog);
  }

  #typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.#ask(), TYPING_MS);
  }

  async #ask() {
    clearTimeout(this.typing);
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const text = this.input.value.trim();
    if (!text) {
      this.#list([]);
      this.#say(EXAMPLES);
      return;
    }
    const slow = setTimeout(() => this.#say("Searching…"), WAITING_MS);
    this.dialog.setAttribute("aria-busy", "true");
    try {
      const told = await this.securities.search(text, { signal: asking.signal });
      if (asking !== this.asking) return;
      this.#list(told.found);
      this.#say(told.total ? counted(told) : told.why, told.total ? "" : "nothing");
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(error);
    } finally {
      clearTimeout(slow);
      if (asking === this.asking) this.dialog.removeAttribute("aria-busy");
    }
  }

  #failed(error) {
    if (!(error instanceof ApiError)) throw error;
    this.#list([]);
    this.#say(error.status === 503 ? "There is no engine to ask at the moment: try again when the data is back." : error.message, error.status === 403 ? "refused" : "error");
  }

  #say(text, kind = "") {
    if (this.told.textContent !== text) this.told.textContent = text;
    this.told.dataset.kind = kind;
  }

  #list(hits) {
    this.hits = hits;
    this.list.replaceChildren(...hits.map((hit, at) => row(hit, at)));
    this.list.hidden = !hits.length;
    this.input.setAttribute("aria-expanded", String(hits.length > 0));
    this.#point(hits.length ? 0 : -1);
  }

  #point(at) {
    if (at < 0 && this.hits.length) return;
    this.at = at;
    [...this.list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    const item = this.list.children[at];
    if (item) this.input.setAttribute("aria-activedescendant", item.id);
    else this.input.removeAttribute("aria-activedescendant");
    item?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const last = this.hits.length - 1;
    const to = { ArrowDown: this.at >= last ? 0 : this.at + 1, ArrowUp: this.at <= 0 ? last : this.at - 1, PageDown: last, PageUp: 0 }[event.key];
    if (to !== undefined && last >= 0) this.#point(to);
    else if (event.key === "Enter") this.#choose(this.at);
    else return;
    event.preventDefault();
  }

  #choose(at) {
    const hit = this.hits[at];
    if (!hit) return;
    this.dialog.close();
    openSecurity(hit.code);
  }
}

const counted = ({ found, total }) => (total > found.length ? `${found.length} of ${total.toLocaleString("en-US")}: type more to narrow it down` : `${total} found`);

function row(hit, at) {
  const key = WHAT[hit.matched];
  const name = hit.isin || hit.figi || hit.sedol || hit.cusip || hit.code;
  const shown = hit.matched in hit && key ? hit[hit.matched] : name;
  return make("li", { id: `find-${at}`, role: "option", "aria-selected": "false" },
    make("b", {}, hit.name), make("span", { class: "where" }, `${hit.ticker}@${hit.market}`), make("span", { class: "id" }, shown), make("small", {}, key ?? ""),
    make("span", { class: `temp ${hit.temperature.toLowerCase()}` }, hit.temperature === "UNKNOWN" ? "" : hit.temperature));
}
