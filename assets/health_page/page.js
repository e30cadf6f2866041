// The page Health: asks the engine each second, and changes only what has changed.

import { make } from "../grid/dom.js";
import { LATE_MS, LivePage } from "../page/live.js";
import { feedsTable } from "./feeds_view.js";
import { FilesView } from "./files_view.js";
import { gapsView } from "./gaps_view.js";
import { RecordsView } from "./records_view.js";
import { ServiceView } from "./service_view.js";
import { ADDRESS } from "./state.js";
import { count, verdict } from "./words.js";

/** What a person looks at in depth does not need to move each second. */
const DEEP_POLLS = 3;
const TABS = [["service", "Processes and storage"], ["gaps", "Gaps"], ["parked", "Parked"], ["quarantine", "Quarantine"], ["files", "Files"]];

export class HealthPage extends LivePage {
  statusPolls = 1;

  /** `parts`: elements root, feeds, verdict, facts, tabs, view, notice. */
  constructor(api, parts, chip) {
    super(api, parts, chip, ADDRESS);
    this.feeds = feedsTable(this);
    this.service = new ServiceView(this);
    this.records = { parked: new RecordsView(this, "parked"), quarantine: new RecordsView(this, "quarantine"), files: new FilesView(this) };
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Change what is on screen, at once where it is known. */
  go(change, options) {
    this.state = { ...this.state, ...change };
    if (this.status) this.#lay();
    return super.go({}, options);
  }

  async load(newest, polled) {
    this.#lay();
    const { view, root } = this.parts;
    if (!polled || this.polls % DEEP_POLLS === 0 || !view.firstChild || root.dataset.state !== "ready") await this.#deep(newest);
    if (newest()) view.setAttribute("aria-busy", "false");
  }

  blank(text, kind) {
    this.parts.view.replaceChildren(make("p", { class: "nothing", role: "status", "data-kind": kind }, text));
  }

  failed(error) {
    super.failed(error);
    if (!error.away) return;
    const told = this.status ? "what is shown is from before" : "feeds are shown as soon as it does";
    this.#verdict({ level: "bad", text: `${error.status === 0 ? "The page server" : "The engine"} does not answer: ${told}` });
  }

  judge() {
    const { ready, stale, heartbeat_age_ms: heartbeat } = this.status;
    if (!ready || heartbeat > LATE_MS) return super.judge();
    const { text } = verdict(this.status);
    return stale.length ? { name: "stale", text: `STALE ${stale.join(" ")}`, tip: text } : { name: "live", text: "LIVE", tip: "Every feed is within its limit" };
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
      return make("a", { href: ADDRESS.of({ ...state, view, feed: view === "service" ? "" : state.feed, file: "" }), "data-view": view, "aria-current": view === state.view && "page" },
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

  async #deep(newest) {
    const { view } = this.state;
    const host = this.parts.view;
    host.dataset.view = view;
    if (view === "service") return this.#put(this.service.host);
    if (view === "gaps") {
      const name = this.state.feed || this.status.feeds.reduce((most, feed) => (feed.gaps > most.gaps ? feed : most)).feed;
      if (!this.state.feed) {
        this.state.feed = name;
        ADDRESS.write(this.state, { step: false });
        this.#lay();
      }
      const detail = await this.api.feed(name);
      if (!newest()) return undefined;
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
    if (newest()) this.#put(this.records[view].host);
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

  /** A plain click on a link of this page is a step within it; otherwise the browser opens what it opens. */
  #clicked(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const target = new URL(link.href);
    if (target.origin !== window.location.origin || target.pathname !== window.location.pathname || !link.closest("#health")) return;
    event.preventDefault();
    this.say("");
    this.go({ ...ADDRESS.read(target.search), theme: this.state.theme });
  }

  #key(event) {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (this.records[this.state.view]?.escape()) return;
    if (this.state.view !== "service") this.go({ view: "service", feed: "" });
  }
}
