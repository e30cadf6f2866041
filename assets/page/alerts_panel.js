// The list under the bell: what is open, and the alerts that one has written.

import { make } from "../grid/dom.js";
import { age } from "../grid/formats.js";
import { write } from "./alerts_dialog.js";
import { number, security, valuesOf } from "./alerts_words.js";
import { confirm } from "./dialog.js";
import { ApiError } from "./rest.js";

const SHOWN = 200;
const TABS = { open: "Open", mine: "My alerts" };

export class AlertsPanel {
  constructor(alerts) {
    this.alerts = alerts;
    this.tab = "open";
    this.notice = make("output", { role: "status" });
    this.list = make("div", { class: "list", role: "region", "aria-label": "Alerts", tabindex: 0 });
    this.tabs = make("nav", { "aria-label": "Alerts" }, ...Object.entries(TABS).map(([name, title]) => make("button", { type: "button", "data-tab": name, onclick: () => this.#turn(name) }, title)));
    this.seen = make("button", { type: "button", onclick: () => this.#acknowledge(null) }, "Acknowledge all");
    this.root = make("aside", { class: "alerts-panel", role: "dialog", "aria-label": "Alerts", hidden: "" },
      make("header", {}, this.tabs, make("span", { class: "gap" }), this.seen, make("button", { type: "button", class: "primary", onclick: () => this.#write(null) }, "New alert…"),
        make("button", { type: "button", "aria-label": "Close the alerts", onclick: () => this.close() }, "✕")),
      this.notice, this.list);
    this.root.addEventListener("keydown", (event) => this.#key(event));
    document.body.append(this.root);
    document.addEventListener("pointerdown", ({ target }) => !this.root.hidden && !this.root.contains(target) && !alerts.button.contains(target) && !target.closest?.("dialog, .toasts") && this.close({ focus: false }));
  }

  toggle() {
    if (this.root.hidden) this.open();
    else this.close();
  }

  open() {
    this.root.hidden = false;
    this.alerts.button.setAttribute("aria-expanded", "true");
    this.#turn(this.tab);
    (this.list.querySelector("[data-key]") ?? this.list).focus();
  }

  close({ focus = true } = {}) {
    if (this.root.hidden) return;
    this.root.hidden = true;
    this.alerts.button.setAttribute("aria-expanded", "false");
    if (focus) this.alerts.button.focus();
  }

  /** Something has changed: show it, where it is looked at. */
  renew() {
    if (!this.root.hidden && this.tab === "open") this.#events();
  }

  #turn(tab) {
    this.tab = tab;
    for (const button of this.tabs.children) button.setAttribute("aria-pressed", String(button.dataset.tab === tab));
    this.seen.hidden = tab !== "open";
    this.#say("");
    if (tab === "open") this.#events();
    else this.#mine();
  }

  #say(text, kind = "bad") {
    this.notice.textContent = text;
    this.notice.className = text ? kind : "";
  }

  #events() {
    const { open, state } = this.alerts;
    const held = this.list.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
    const place = [...this.list.children].findIndex((row) => row.dataset.key === held);
    this.seen.disabled = !open.some((event) => event.state === "raised");
    const none = { waiting: "Asking what there is…", away: "Disconnected. What is raised is not known until the service answers." }[state] ?? "Nothing is raised. An alert tells you once when it begins to hold, and is quiet until it was over.";
    const rows = open.slice(0, SHOWN).map((event) => this.#event(event));
    if (open.length > SHOWN) rows.push(make("p", { class: "nothing" }, `and ${number(open.length - SHOWN)} more`));
    this.list.replaceChildren(...(rows.length ? rows : [make("p", { class: "nothing" }, none)]));
    if (held) (this.list.querySelector(`[data-key="${held}"]`) ?? this.list.children[Math.min(place, this.list.children.length - 1)])?.focus?.();
  }

  #event(event) {
    const raised = event.state === "raised";
    const seen = raised && make("button", { type: "button", tabindex: -1, title: "Key: A", onclick: () => this.#acknowledge([event]) }, "Acknowledge");
    return make("article", { class: `${event.severity} ${event.state}`, tabindex: -1, "data-key": event.id, "aria-label": `${event.severity}, ${event.name}, ${event.ticker || event.security}, ${event.state}` },
      make("b", { class: "kind" }, event.severity), make("strong", { title: event.condition }, event.name), make("span", {}, security(event)), make("span", { class: "values" }, valuesOf(event)),
      make("time", { datetime: event.raised_at, title: event.raised_at }, age(Date.now() - Date.parse(event.raised_at))), seen || make("span", { class: "sub" }, "acknowledged"));
  }

  async #mine() {
    this.list.replaceChildren(make("p", { class: "nothing" }, "Asking…"));
    try {
      const { alerts } = await this.alerts.api.all();
      if (this.tab === "mine") this.list.replaceChildren(...(alerts.length ? alerts.map((alert) => this.#alert(alert)) : [make("p", { class: "nothing" }, "You have written none yet.")]));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.list.replaceChildren(make("p", { class: "nothing bad" }, `Your alerts could not be shown: ${error.message}`));
    }
  }

  #alert(alert) {
    const now = alert.problem ? alert.problem : !alert.enabled ? "switched off" : alert.raised + alert.acknowledged ? `${number(alert.raised)} raised, ${number(alert.acknowledged)} acknowledged` : "quiet";
    return make("article", { class: `mine ${alert.severity}${alert.enabled ? "" : " off"}`, tabindex: -1, "data-key": alert.id, "aria-label": `${alert.name}: ${alert.condition}` },
      make("b", { class: "kind" }, alert.severity), make("strong", {}, alert.name), make("code", {}, alert.condition), make("span", { class: alert.problem ? "bad" : "sub" }, now),
      make("span", { class: "buttons" },
        make("button", { type: "button", tabindex: -1, title: "Key: E", "data-do": "e", onclick: () => this.#write(alert) }, "Change…"),
        make("button", { type: "button", tabindex: -1, title: "Key: O", "data-do": "o", onclick: () => this.#switch(alert) }, alert.enabled ? "Switch off" : "Switch on"),
        make("button", { type: "button", tabindex: -1, title: "Key: Delete", "data-do": "delete", class: "danger", onclick: () => this.#remove(alert) }, "Remove…")));
  }

  async #acknowledge(events) {
    this.#say(await this.alerts.acknowledge(events));
  }

  async #write(alert) {
    if (!(await write(this.alerts.api, alert))) return;
    this.#turn("mine");
    this.#say(alert ? "Changed." : "It is watched from now on.", "good");
  }

  #switch(alert) {
    const { name, condition, securities, severity, sound, webhook, margin_percent, hold_s, revision } = alert;
    return this.#do(() => this.alerts.api.change(alert.id, { name, condition, securities, severity, sound, webhook, margin_percent, hold_s, revision, enabled: !alert.enabled }));
  }

  async #remove(alert) {
    if (await confirm({ title: `Remove the alert ${alert.name}?`, body: "What is open of it is over.", yes: "Remove", danger: true })) await this.#do(() => this.alerts.api.remove(alert.id));
  }

  async #do(something) {
    try {
      await something();
      this.#turn("mine");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#say(error.message);
    }
  }

  #key(event) {
    if (event.key === "Escape") {
      event.stopPropagation();
      this.close();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !this.list.contains(event.target)) return;
    const rows = [...this.list.querySelectorAll("[data-key]")];
    const row = event.target.closest("[data-key]");
    const at = rows.indexOf(row);
    const to = { ArrowDown: rows[at + 1], ArrowUp: rows[at - 1], Home: rows[0], End: rows.at(-1) }[event.key];
    const key = event.key.toLowerCase();
    if (to) to.focus();
    else if (row && key === "a" && this.tab === "open") this.#acknowledge([this.alerts.events.get(row.dataset.key)]);
    else if (row && key === "enter" && event.target === row) row.querySelector("a")?.click();
    else if (row?.querySelector(`[data-do="${key}"]`)) row.querySelector(`[data-do="${key}"]`).click();
    else return;
    event.preventDefault();
  }
}
