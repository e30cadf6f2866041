// The page Health: asks the engine each second, and changes only what has changed.

import { make } from "../grid/dom.js";
import { ApiError } from "../page/rest.js";
import { feedsTable } from "./feeds_view.js";
import { gapsView } from "./gaps_view.js";
import { RecordsView } from "./records_view.js";
import { ServiceView } from "./service_view.js";
import * as address from "./state.js";
import { count, since, verdict } from "./words.js";

const POLL_MS = 1000;
/** What a person looks at in depth does not need to move each second. */
const DEEP_POLLS = 3;
const LATE_MS = 5000;
const TABS = [["service", "Processes and storage"], ["gaps", "Gaps"], ["parked", "Parked"], ["quarantine", "Quarantine"]];

export class HealthPage {
  /** `parts`: elements root, feeds, verdict, facts, tabs, view, notice. */
  constructor(api, parts, chip) {
    this.api = api;
    this.parts = parts;
    this.chip = chip;
    this.state = address.read();
    this.now = Date.now();
    this.turn = 0;
    this.polls = 0;
    this.status = null;
    this.feeds = feedsTable(this);
    this.service = new ServiceView(this);
    this.records = { parked: new RecordsView(this, "parked"), quarantine: new RecordsView(this, "quarantine") };
    window.addEventListener("popstate", () => this.#back());
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("keydown", (event) => this.#key(event));
    setInterval(() => this.#poll(), POLL_MS);
    setInterval(() => this.#aged(), 250);
  }

  /** Change what is on screen. */
  go(change, { step = true } = {}) {
    this.state = { ...this.state, ...change };
    address.write(this.state, { step });
    if (this.status) this.#lay();
    return this.show();
  }

  /** Ask for everything that is on screen. The newest call wins. */
  async show({ deep = true } = {}) {
    const turn = ++this.turn;
    try {
      const status = await this.api.status();
      if (turn !== this.turn) return;
      this.status = status;
      this.now = Date.parse(status.at);
      this.skewMs = this.now - Date.now();
      this.answeredAt = performance.now();
      this.#lay();
      if (deep) await this.#deep(turn);
      if (turn === this.turn) this.#answered();
    } catch (error) {
      if (turn === this.turn) this.failed(error);
    }
  }

  say(text, kind = "") {
    this.parts.notice.textContent = text;
    this.parts.notice.dataset.kind = kind;
  }

  /** Do something; what goes wrong is said where it is seen. */
  async attempt(something) {
    try {
      await something();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.say(error.message, "bad");
    }
  }

  failed(error) {
    if (!(error instanceof ApiError)) throw error;
    const { root, view } = this.parts;
    if (error.away) {
      const starting = error.status === 503;
      const text = error.status === 0 ? "DISCONNECTED" : starting ? "STARTING" : "ENGINE DOWN";
      this.chip.show({ name: error.status === 0 ? "disconnected" : starting ? "starting" : "down", text, tip: `${error.message}; trying again` });
      root.dataset.state = "down";
      const told = this.status ? "what is shown is from before" : "feeds are shown as soon as it does";
      this.#verdict({ level: "bad", text: `${error.status === 0 ? "The page server" : "The engine"} does not answer: ${told}` });
      if (!this.status) this.#nothing("The engine does not answer. Feeds and processes are shown as soon as it does.", "down");
    } else if (error.status === 404) {
      this.#answered();
      view.replaceChildren(make("p", { class: "nothing", "data-kind": "missing" }, error.message));
    } else if (error.status === 403) {
      this.#answered();
      this.#nothing(`You may not see this: ${error.message}.`, "refused");
    } else {
      this.#nothing(`This could not be shown: ${error.message}.`, "error");
    }
  }

  #answered() {
    this.parts.root.dataset.state = "ready";
    const { stale, ready, heartbeat_age_ms: heartbeat } = this.status;
    if (!ready) this.chip.show({ name: "starting", text: "STARTING", tip: "Feeds hand over what existed at start" });
    else if (heartbeat > LATE_MS) this.chip.show({ name: "stale", text: "ENGINE STUCK", tip: "The engine has stopped updating" });
    else if (stale.length) this.chip.show({ name: "stale", text: `STALE ${stale.join(" ")}`, tip: verdict(this.status).text });
    else this.chip.show({ name: "live", text: "LIVE", tip: "Every feed is within its limit" });
    this.parts.view.setAttribute("aria-busy", "false");
  }

  #lay() {
    const { parts, status, state } = this;
    if (parts.feeds.firstChild !== this.feeds.table) parts.feeds.replaceChildren(this.feeds.table);
    // those that are read first, in their order: nobody looks for trouble among what is off
    this.feeds.show([...status.feeds.filter((feed) => feed.state !== "off"), ...status.feeds.filter((feed) => feed.state === "off")]);
    this.#verdict(verdict(status));
    this.service.show(status);
    const numbers = { gaps: status.missing, parked: status.parked.records, quarantine: status.quarantine.entries };
    const tabs = TABS.map(([view, label]) => {
      const number = numbers[view];
      return make("a", { href: address.address({ ...state, view, feed: view === "service" ? "" : state.feed }), "data-view": view, "aria-current": view === state.view && "page" },
        label, number ? make("b", {}, ` ${count(number)}`) : "");
    });
    const told = tabs.map((tab) => tab.outerHTML).join("") + state.feed;
    if (told === this.tabsTold) return;
    this.tabsTold = told;
    const held = parts.tabs.contains(document.activeElement) ? document.activeElement.dataset.view : null;
    parts.tabs.replaceChildren(...tabs, state.view === "service" ? "" : this.#chooser());
    if (held) parts.tabs.querySelector(`[data-view="${held}"]`)?.focus();
  }

  /** Which feed is looked at. */
  #chooser() {
    const options = this.status.feeds.map((feed) => make("option", { value: feed.feed, selected: feed.feed === this.state.feed && "" }, feed.title));
    const every = this.state.view === "gaps" ? [] : [make("option", { value: "" }, "all feeds")];
    return make("label", { class: "tools" }, "of ", make("select", { id: "feed", onchange: (event) => this.go({ feed: event.target.value }) }, ...every, ...options));
  }

  async #deep(turn) {
    const { view } = this.state;
    const host = this.parts.view;
    host.dataset.view = view;
    if (view === "service") return this.#put(this.service.host);
    if (view === "gaps") {
      const name = this.state.feed || this.status.feeds.reduce((most, feed) => (feed.gaps > most.gaps ? feed : most)).feed;
      if (!this.state.feed) {
        this.state.feed = name;
        address.write(this.state, { step: false });
        this.#lay();
      }
      const detail = await this.api.feed(name);
      if (turn !== this.turn) return undefined;
      const told = JSON.stringify([detail.sources, detail.partitions.length, name]);
      if (told !== this.gapsTold || host.firstChild !== this.gaps) {
        this.gapsTold = told;
        const top = host.querySelector(".scroll")?.scrollTop ?? 0;
        this.#put((this.gaps = gapsView(detail)));
        this.gaps.querySelector(".scroll").scrollTop = top;
      }
      return undefined;
    }
    await this.records[view].load();
    if (turn === this.turn) this.#put(this.records[view].host);
    return undefined;
  }

  #put(view) {
    const { view: host } = this.parts;
    if (host.firstChild !== view || host.childNodes.length !== 1) host.replaceChildren(view);
  }

  #verdict({ level, text }) {
    const { verdict: host } = this.parts;
    host.dataset.level = level;
    if (host.textContent !== text) host.textContent = text;
  }

  #nothing(text, kind) {
    this.parts.view.replaceChildren(make("p", { class: "nothing", role: "status", "data-kind": kind }, text));
  }

  // how old what is on screen is: said before anybody has to ask
  #aged() {
    const { facts } = this.parts;
    if (this.answeredAt === undefined) return;
    const age = performance.now() - this.answeredAt;
    const clock = new Date(Date.now() + (this.skewMs ?? 0)).toISOString().slice(11, 19);
    facts.textContent = `${clock} UTC · seen ${since(age)} ago`;
    facts.classList.toggle("bad", age > LATE_MS);
  }

  #back() {
    this.state = address.read();
    this.show();
  }

  /** A plain click on a link of this page is a step within it; otherwise the browser opens what it opens. */
  #clicked(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const target = new URL(link.href);
    if (target.origin !== window.location.origin || target.pathname !== window.location.pathname || !link.closest("#health")) return;
    event.preventDefault();
    this.say("");
    this.go({ ...address.read(target.search), theme: this.state.theme });
  }

  #key(event) {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (this.records[this.state.view]?.escape()) return;
    if (this.state.view !== "service") this.go({ view: "service", feed: "" });
  }

  async #poll() {
    if (document.hidden || document.querySelector("dialog[open]") || this.polling) return;
    this.polling = true;
    this.polls += 1;
    try {
      await this.show({ deep: this.polls % DEEP_POLLS === 0 || !this.parts.view.firstChild || this.parts.root.dataset.state !== "ready" });
    } finally {
      this.polling = false;
    }
  }
}
