// Views saved under a name: a menu that opens, saves, renames, shares and takes away; the page may open with one of them.

import { ApiError, part, query, Rest } from "../page/rest.js";
import { make } from "./dom.js";
import { givesFocusBack, openBeside } from "./popover.js";
import * as viewState from "./state.js";

/** The one a page opens with is remembered here, so that it opens with it before anybody has been asked. */
const KEY = "ims-default-view";

const asQuery = (text) => new URLSearchParams(text).toString();

export class Views {
  /** `desk`: {config, state, bare, open(query, id), keep()}; `say(text)`: what was done. */
  constructor(host, desk, say) {
    this.desk = desk;
    this.say = say;
    this.page = desk.config.table;
    this.rest = new Rest("/api/v1", { token: "", valid_s: 0 }, () => {});
    this.views = null;
    this.default = null;
    this.button = make("button", { type: "button", id: "views-button", "aria-haspopup": "dialog", title: "Saved views", onclick: () => this.#open() }, "Views");
    this.panel = make("div", { id: "views-panel", class: "panel", popover: "auto", role: "dialog", "aria-label": "Saved views" });
    this.panel.addEventListener("keydown", (event) => this.#key(event));
    givesFocusBack(this.panel);
    host.append(this.button);
    document.body.append(this.panel);
    this.#begin();
  }

  /** Whether the view has been changed since it was opened. */
  renew() {
    const open = this.#current();
    const changed = open && asQuery(open.query) !== viewState.viewQuery(this.desk.state).toString();
    this.button.replaceChildren(open ? `${open.name}${changed ? " •" : ""}` : "Views");
    this.button.title = open ? `Saved view of ${open.mine ? "yours" : open.owner}${changed ? ", changed since it was opened" : ""}` : "Saved views";
    this.button.classList.toggle("changed", Boolean(changed));
  }

  // a page without anything in its address opens with the view that a person has chosen for it
  async #begin() {
    await null; // the desk is not furnished yet
    const { bare } = this.desk;
    const kept = this.#remembered();
    if (bare && kept) this.desk.open(kept.query, kept.id, { push: false });
    if (!bare && !this.desk.state.view) return;
    const before = viewState.viewQuery(this.desk.state).toString();
    if (!(await this.#load())) return;
    const chosen = this.views.find(({ id }) => id === this.default) ?? null;
    this.#remember(chosen);
    const untouched = viewState.viewQuery(this.desk.state).toString() === before;
    if (bare && untouched && chosen && chosen.query !== kept?.query) this.desk.open(chosen.query, chosen.id, { push: false });
    this.renew();
  }

  #remembered() {
    try {
      return JSON.parse(localStorage.getItem(`${KEY}-${this.page}`));
    } catch {
      return null;
    }
  }

  #remember(view) {
    if (view) localStorage.setItem(`${KEY}-${this.page}`, JSON.stringify({ id: view.id, query: view.query }));
    else localStorage.removeItem(`${KEY}-${this.page}`);
  }

  #current() {
    return this.views?.find(({ id }) => id === this.desk.state.view) ?? null;
  }

  async #load() {
    try {
      const told = await this.rest.json("GET", `/views${query({ page: this.page })}`);
      this.views = told.views;
      this.default = told.default;
      this.trouble = "";
      return true;
    } catch (error) {
      this.trouble = error instanceof ApiError && error.away ? "Saved views cannot be had at the moment" : error.message;
      return false;
    }
  }

  async #open() {
    this.renaming = "";
    this.#draw();
    openBeside(this.panel, this.button);
    await this.#load();
    this.#draw();
    this.renew();
    if (this.panel.matches(":popover-open")) openBeside(this.panel, this.button);
  }

  /** Do it, then show what there is now. Of two who change a view at once, the second is told. */
  async #act(done, method, path, body) {
    try {
      const answer = await this.rest.json(method, path, body);
      await this.#load();
      this.say(done);
      return answer;
    } catch (error) {
      await this.#load();
      this.trouble = error.status === 409 && body.version ? `${error.message}. It is shown as it is now: try again` : error.message;
      return null;
    } finally {
      this.renaming = "";
      this.#draw();
      this.renew();
    }
  }

  #draw() {
    const focused = this.panel.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const mine = this.views?.filter((view) => view.mine) ?? [];
    const others = this.views?.filter((view) => !view.mine) ?? [];
    const waiting = this.views === null && !this.trouble ? [make("p", {}, "Looking…")] : [];
    const trouble = this.trouble ? [make("p", { class: "trouble", role: "alert" }, this.trouble)] : [];
    const none = this.views?.length === 0 ? [make("p", {}, "No view is saved yet. Arrange the page, and give it a name.")] : [];
    const list = (title, views) => (views.length ? [make("h2", {}, title), make("ul", {}, ...views.map((view) => this.#line(view)))] : []);
    const plain = make("button", { type: "button", class: "wide", "data-key": "plain", onclick: () => this.#show("", this.default ? viewState.PLAIN : "") }, "As the desk shows it");
    this.panel.replaceChildren(...waiting, ...trouble, plain, ...none, ...list("Yours", mine), ...list("Shared by others", others), this.#save());
    if (focused !== null) (this.panel.querySelector(`[data-key="${CSS.escape(focused ?? "")}"]`) ?? this.panel.querySelector("button"))?.focus();
  }

  #line(view) {
    const current = view.id === this.desk.state.view;
    const button = (key, label, tip, act, pressed) => make("button", { type: "button", "data-key": `${key} ${view.id}`, title: tip, "aria-label": `${tip}: ${view.name}`, "aria-pressed": pressed === undefined ? null : String(pressed), onclick: act }, label);
    const name = this.renaming === view.id ? this.#rename(view) : make("button", { type: "button", class: "name", "data-key": `open ${view.id}`, "aria-current": current ? "true" : null, onclick: () => this.#show(view.query, view.id) }, view.name, ...(view.mine ? [] : [make("small", {}, view.owner)]));
    const isDefault = view.id === this.default;
    const tools = [button("default", isDefault ? "★" : "☆", isDefault ? "The page opens with it" : "Open the page with it", () => this.#setDefault(isDefault ? null : view), isDefault)];
    if (view.mine) {
      tools.push(button("share", view.shared ? "Shared" : "Share", view.shared ? "Others can open it" : "Let others open it", () => this.#act(view.shared ? "It is yours alone again" : "Others can open it now", "POST", `/views/${part(view.id)}`, { version: view.version, shared: !view.shared }), view.shared));
      tools.push(button("rename", "✎", "Another name", () => this.#startRename(view)));
      tools.push(button("remove", "✕", "Take it away", () => this.#remove(view)));
    }
    return make("li", { "data-view": view.id }, name, ...tools);
  }

  #show(text, id) {
    this.desk.open(text, id);
    this.panel.hidePopover();
    this.renew();
  }

  #startRename(view) {
    this.renaming = view.id;
    this.#draw();
    this.panel.querySelector("input.rename")?.select();
  }

  #rename(view) {
    const input = make("input", { class: "rename", value: view.name, maxlength: 80, "aria-label": "New name" });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !input.value.trim()) return;
      event.preventDefault();
      this.#act("Renamed", "POST", `/views/${part(view.id)}`, { version: view.version, name: input.value.trim() });
    });
    return input;
  }

  // asked for a second time: somebody's work goes
  #remove(view) {
    const button = this.panel.querySelector(`[data-key="remove ${view.id}"]`);
    if (button.textContent !== "Sure?") {
      button.textContent = "Sure?";
      return;
    }
    if (this.desk.state.view === view.id) {
      this.desk.state.view = "";
      this.desk.keep();
    }
    this.#act(`${view.name} is gone`, "POST", `/views/${part(view.id)}/remove`, { version: view.version });
  }

  async #setDefault(view) {
    const done = view ? `The page opens with ${view.name}` : "The page opens as the desk shows it";
    if (await this.#act(done, "POST", "/views/default", { page: this.page, view: view?.id ?? null })) this.#remember(view);
  }

  #save() {
    const open = this.#current();
    const name = make("input", { type: "text", name: "name", maxlength: 80, placeholder: "Name of a new view", "aria-label": "Name of a new view", "data-key": "name", autocomplete: "off" });
    const share = make("input", { type: "checkbox", name: "shared" });
    const form = make("form", { class: "new" }, name, make("label", {}, share, "shared"), make("button", { type: "submit", "data-key": "save" }, "Save as"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!name.value.trim()) return;
      const made = await this.#act(`Saved as ${name.value.trim()}`, "POST", "/views", { page: this.page, name: name.value.trim(), query: viewState.viewQuery(this.desk.state).toString(), shared: share.checked });
      if (made) this.#became(made);
    });
    if (!open?.mine) return form;
    const again = make("button", { type: "button", class: "wide", "data-key": "again", onclick: () => this.#act(`${open.name} is saved as it is now`, "POST", `/views/${part(open.id)}`, { version: open.version, query: viewState.viewQuery(this.desk.state).toString() }) }, `Save ${open.name} as it is now`);
    return make("div", {}, again, form);
  }

  #became(view) {
    this.desk.state.view = view.id;
    this.desk.keep();
    this.panel.hidePopover();
    this.renew();
  }

  #key(event) {
    if (event.key === "Escape") event.stopPropagation();
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || event.target.matches("input")) return;
    event.preventDefault();
    const stops = [...this.panel.querySelectorAll("button.wide, button.name, input[name=name]")];
    stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(document.activeElement) + by))]?.focus();
  }
}
