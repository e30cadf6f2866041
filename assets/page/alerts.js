// Alerts in the bar of every page: a bell with what is raised, a list, and a word when something begins. It brings its own
// token, and stays away from who may not be told.

import { make } from "../grid/dom.js";
import { AlertsApi, follow } from "./alerts_feed.js";
import { AlertsPanel } from "./alerts_panel.js";
import { Toasts } from "./alerts_toast.js";
import { ApiError } from "./rest.js";
import { SEVERITIES } from "./severity.js";

/** A letter beside the colour: not everybody sees the difference. */
const LETTERS = { critical: "C", high: "H", medium: "M", low: "L" };
const BELL = "M8 1.5a4 4 0 0 0-4 4v3L2.5 11v1h11v-1L12 8.5v-3a4 4 0 0 0-4-4zM6.5 13a1.5 1.5 0 0 0 3 0z";

export class Alerts {
  constructor(host, api) {
    this.api = api;
    this.events = new Map();
    this.counts = make("span", { class: "counts" });
    this.button = make("button", { type: "button", class: "bell", "aria-expanded": "false", "aria-haspopup": "dialog", onclick: () => this.panel.toggle() }, picture(), this.counts);
    this.panel = new AlertsPanel(this);
    this.toasts = new Toasts(this);
    host.replaceChildren(this.button);
    this.state = "waiting";
    document.addEventListener("keydown", (event) => this.#key(event));
    this.end = follow(() => api.fresh(), {
      snapshot: (events) => this.#take(events),
      delta: (events) => this.#change(events),
      state: (state) => this.#state(state),
      refused: () => this.#leave(host),
    });
    this.#show();
  }

  /** Raised ones first, then by severity, newest first. */
  get open() {
    const rank = ({ state, severity }) => (state === "raised" ? 0 : 4) + SEVERITIES.indexOf(severity);
    return [...this.events.values()].sort((one, other) => rank(one) - rank(other) || Date.parse(other.raised_at) - Date.parse(one.raised_at));
  }

  /** Somebody has seen these (or all there are): said to the service, which tells all pages. "" or what went wrong. */
  async acknowledge(events) {
    const body = events ? { events: events.map(({ id }) => id) } : { all: true };
    try {
      const { acknowledged } = await this.api.acknowledge(body);
      for (const id of acknowledged) if (this.events.has(id)) this.events.set(id, { ...this.events.get(id), state: "acknowledged" });
      this.#show();
      return "";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return error.message;
    }
  }

  #take(events) {
    this.events = new Map(events.map((event) => [event.id, event]));
    this.toasts.keep(this.events);
    this.#show();
  }

  #change(events) {
    const begun = [];
    for (const event of events) {
      const before = this.events.get(event.id);
      if (event.state === "cleared") this.events.delete(event.id);
      else this.events.set(event.id, event);
      if (event.state === "raised" && !before) begun.push(event);
    }
    this.toasts.keep(this.events);
    this.toasts.tell(begun.filter(({ id }) => this.events.has(id)));
    this.#show();
  }

  #state(state) {
    this.state = state;
    this.#show();
  }

  #show() {
    const raised = this.open.filter(({ state }) => state === "raised");
    const known = this.events.size - raised.length;
    const by = SEVERITIES.map((severity) => [severity, raised.filter((event) => event.severity === severity).length]).filter(([, count]) => count);
    const away = this.state === "away" ? ". Disconnected: what is new is not known" : "";
    const said = by.length ? by.map(([severity, count]) => `${count} ${severity}`).join(", ") : "nothing raised";
    const label = `Alerts: ${said}${known ? `; ${known} acknowledged` : ""}${away}`;
    this.button.dataset.state = this.state;
    this.button.dataset.worst = by[0]?.[0] ?? "";
    if (this.button.title !== `${label}. Key: !`) {
      this.button.title = `${label}. Key: !`;
      this.button.setAttribute("aria-label", label);
      this.counts.replaceChildren(...by.map(([severity, count]) => make("b", { class: severity }, `${LETTERS[severity]}${count > 999 ? "999+" : count}`)), ...(away ? [make("b", { class: "away" }, "?")] : []));
    }
    this.panel.renew();
  }

  #key(event) {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable=true], dialog[open]");
    if (event.key !== "!" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.panel.toggle();
  }

  /** Alerts are about everybody's inventory: who is kept to some clients has none. */
  #leave(host) {
    this.panel.close();
    host.replaceChildren();
  }
}

function picture() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", BELL);
  svg.append(path);
  return svg;
}

const host = document.getElementById("alerts");
if (host) AlertsApi.open().then((api) => api && (window.imsAlerts = new Alerts(host, api)));
