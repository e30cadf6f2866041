// The page Rules: what the address asks for, fetched and shown; what a person does, asked for and sent.

import { make } from "../grid/dom.js";
import { ApiError } from "./api.js";
import * as actions from "./actions.js";
import { codeView, Editor, problemList } from "./code.js";
import { diffView } from "./diff_view.js";
import { Drafts } from "./drafts.js";
import { decidesLocates, dryRunView } from "./dry_run_view.js";
import { impactView } from "./impact_view.js";
import { auditView, badge, documentList, putList, versionList } from "./lists.js";
import { moment, OPEN, steps } from "./shapes.js";
import * as address from "./state.js";
import { Store } from "./store.js";

const POLL_MS = 5000;
const TABS = [["text", "Text"], ["diff", "Differences"], ["impact", "Impact"], ["dry-run", "Dry run"], ["audit", "Audit trail"]];

export class RulesPage {
  /** `api`: Api; `parts`: elements documents, versions, heading, tabs, view, notice, status. */
  constructor(api, parts, chip) {
    this.api = api;
    this.parts = parts;
    this.chip = chip;
    this.store = new Store(api);
    this.drafts = new Drafts(api.session.user);
    this.state = address.read();
    this.turn = 0;
    this.editor = null;
    window.addEventListener("popstate", () => this.#back());
    window.addEventListener("beforeunload", (event) => this.drafts.unsaved && event.preventDefault());
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("keydown", (event) => this.#key(event));
    setInterval(() => this.#poll(), POLL_MS);
  }

  get identity() {
    return this.api.session;
  }

  /** Change what is on screen; `step` false: without a new step in the browser's history. */
  go(change, { step = true } = {}) {
    this.state = { ...this.state, ...change };
    address.write(this.state, { step });
    return this.show();
  }

  /** Show what the state names. The newest call wins; an older one that comes back late shows nothing. */
  async show() {
    const turn = ++this.turn;
    const { state, parts } = this;
    this.#busy(true);
    try {
      const documents = await this.store.documents();
      if (turn !== this.turn) return;
      if (!documents.length) return this.#empty();
      if (!state.document) {
        state.document = documents[0].document;
        address.write(state, { step: false });
      }
      putList(parts.documents, documentList(documents, state));
      const known = documents.find((each) => each.document === state.document);
      if (!known) return this.#nothing(`There is no document “${state.document}”.`);
      const versions = await this.store.versions(state.document);
      const number = state.version || known.active || versions[0]?.version || 0;
      if (turn !== this.turn) return;
      // what is being edited stays what it began as, even when another version comes into force
      if (state.view === "edit" && !state.version) {
        state.version = number;
        address.write(state, { step: false });
      }
      const listed = versions.find((each) => each.version === number);
      putList(parts.versions, versionList(versions, state, number));
      if (!listed) return this.#nothing(`${known.title} has no version ${number}.`);
      const version = await this.store.version(state.document, number);
      if (turn !== this.turn) return;
      this.shown = { document: known, versions, version };
      this.#heading();
      const view = await this.#view(version, versions);
      if (turn !== this.turn) return;
      this.#put(view);
      this.answered();
    } catch (error) {
      if (turn === this.turn) this.failed(error);
    } finally {
      if (turn === this.turn) this.#busy(false);
    }
  }

  /** The engine has answered. */
  answered() {
    this.chip.show({ name: "live", text: "LIVE", tip: "The engine answers" });
    this.parts.root.dataset.state = "ready";
  }

  /** A request was not served: said where it is seen, and what is on screen stays when the engine is only away. */
  failed(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.away) {
      const starting = error.status === 503;
      const text = error.status === 0 ? "DISCONNECTED" : starting ? "STARTING" : "ENGINE DOWN";
      this.chip.show({ name: error.status === 0 ? "disconnected" : starting ? "starting" : "down", text, tip: `${error.message}; trying again` });
      this.parts.root.dataset.state = "down";
      if (!this.shown) this.#nothing("The engine does not answer. Rules are shown as soon as it does; nothing is lost.", "down");
      return;
    }
    this.answered();
    if (error.status === 403) this.#nothing(`You may not see this: ${error.message}.`, "refused");
    else if (error.status === 404) this.#nothing(error.message, "missing");
    else this.#nothing(`This could not be shown: ${error.message}.`, "error");
  }

  say(text, kind = "") {
    this.parts.notice.textContent = text;
    this.parts.notice.dataset.kind = kind;
  }

  /** After a step: everything that may be different now. */
  async renew(change = {}) {
    this.store.forget();
    await this.go(change);
  }

  #heading() {
    const { document, versions, version } = this.shown;
    const facts = factsOf(version);
    const title = make("div", { class: "title" }, make("h2", {}, document.title, make("small", {}, ` ${document.document} v${version.version}`)), badge(version),
      make("span", { class: "sub" }, facts.join(" · ")));
    const buttons = this.state.view === "edit" ? [] : steps(version, this.identity).map((offer) => this.#button(offer));
    const comment = version.comment ? make("p", { class: "comment" }, `“${version.comment}”`) : "";
    this.parts.heading.replaceChildren(title, make("div", { class: "actions", role: "group", "aria-label": "Steps" }, ...buttons), comment);
    const shown = TABS.filter(([view]) => view !== "dry-run" || decidesLocates(version.text));
    const tabs = shown.map(([view, label]) =>
      make("a", { href: address.address({ ...this.state, view, version: version.version }), "data-view": view, "aria-current": view === this.state.view && "page" }, label));
    if (this.state.view === "edit") tabs.push(make("a", { href: address.address(this.state), "aria-current": "page" }, "New draft"));
    this.parts.tabs.replaceChildren(...tabs, this.#tools(versions, version));
  }

  #button({ step, label, why }) {
    const primary = ["submit", "approve"].includes(step) && !why;
    return make("button", { type: "button", "data-step": step, class: primary ? "primary" : "", "aria-disabled": String(Boolean(why)), title: why,
      onclick: () => (why ? this.say(why, "bad") : actions.take(this, step)) }, label);
  }

  // what stands beside the tabs: which versions a diff compares, and how
  #tools(versions, version) {
    if (this.state.view !== "diff") return "";
    const from = this.#from(versions, version);
    const chooser = make("select", { id: "from", "aria-label": "Compare from version", onchange: (event) => this.go({ version: version.version, from: Number(event.target.value) }) },
      ...versions.filter((each) => each.version !== version.version).map((each) => make("option", { value: each.version, selected: each.version === from && "" }, `v${each.version} ${each.state}`)));
    const layouts = [["split", "Side by side"], ["unified", "Unified"]].map(([layout, label]) =>
      make("button", { type: "button", "data-layout": layout, "aria-pressed": String(layout === this.state.layout), onclick: () => this.go({ layout }) }, label));
    return make("div", { class: "tools" }, "from ", chooser, make("span", {}, ` to v${version.version}`), make("div", { class: "set", role: "group", "aria-label": "Layout" }, ...layouts), make("output", { id: "counts" }));
  }

  /** The version that a diff starts from: asked for, or the one in force, or the one before. */
  #from(versions, version) {
    const others = versions.map((each) => each.version).filter((each) => each !== version.version);
    const active = versions.find((each) => each.state === "active")?.version;
    if (others.includes(this.state.from)) return this.state.from;
    return others.includes(active) && active < version.version ? active : (others.find((each) => each < version.version) ?? others.at(-1) ?? 0);
  }

  async #view(version, versions) {
    const { state } = this;
    if (state.view !== "edit") this.editor = null;
    if (state.view === "diff") return this.#diff(version, versions);
    if (state.view === "impact") return this.#impact(version);
    if (state.view === "dry-run") return this.#dryRun(version);
    if (state.view === "audit") return auditView(await this.store.audit(state.document), state);
    if (state.view === "edit") return this.#edit(version);
    return codeView(version.text, `Text of ${state.document} version ${version.version}`);
  }

  async #diff(version, versions) {
    const from = this.#from(versions, version);
    if (!from) return make("p", { class: "nothing" }, "This is the only version: there is nothing to compare it with.");
    const before = await this.store.version(this.state.document, from);
    const { host, counts } = diffView(before.text, version.text, this.state.layout);
    const output = this.parts.tabs.querySelector("#counts");
    if (output) output.textContent = `+${counts.added} −${counts.removed} lines`;
    return host;
  }

  #impact(version) {
    const impact = this.store.impact(version);
    const test = steps(version, this.identity).find(({ step }) => step === "test");
    const button = (label) => (test ? this.#button({ ...test, label }) : "");
    if (impact) {
      const onCalculation = (calculation) => this.go({ calculation });
      const inventory = (security) => `/inventory?sec=${encodeURIComponent(security)}`;
      return impactView(impact, { calculation: this.state.calculation, onCalculation, inventory, again: button("Test again to see every security") });
    }
    const words = test ? "This version has not been tried on the live positions yet." : "No impact was kept for this version.";
    return make("div", { class: "nothing" }, make("p", {}, words), button("Test on live positions"));
  }

  #dryRun(version) {
    const { since, until } = this.state;
    return dryRunView({
      run: this.store.dryRun(version),
      period: { since, until },
      onRun: (period) => actions.dryRun(this, period),
      onFile: (period) => actions.dryRunFile(this, period),
      locates: (id) => `/locates?view=all&id=${encodeURIComponent(id)}`,
    });
  }

  // an editor that is open stays as it is, whatever else is renewed
  #edit(version) {
    const key = `${this.state.document}@${version.version}`;
    if (this.editor?.key !== key) {
      const kept = this.drafts.text(key);
      this.editor = new Editor(kept ?? version.text, `Draft of ${this.state.document}`, (text) => this.drafts.keep(key, text, version.text));
      this.editor.key = key;
      const save = make("button", { type: "button", class: "primary", "data-step": "save", title: "Ctrl+S", onclick: () => actions.save(this) }, "Save draft…");
      const drop = make("button", { type: "button", "data-step": "discard", onclick: () => actions.discard(this) }, "Discard");
      const told = kept !== null && kept !== version.text ? `Unsaved changes from before, begun at v${version.version}` : `Begins as v${version.version}; saving makes a new version`;
      this.editor.foot = make("div", { class: "foot" }, make("span", { class: "sub" }, told), drop, save);
      this.editor.trouble = make("div", { class: "trouble" });
      this.editor.whole = make("div", { class: "editing" }, this.editor.host, this.editor.trouble, this.editor.foot);
    }
    return this.editor.whole;
  }

  /** Problems of what was sent, at their lines and in a list. */
  showProblems(problems) {
    const { editor } = this;
    const own = problems.filter((problem) => !problem.document || problem.document === this.state.document);
    editor.show(own);
    const go = (problem) => editor.goTo(problem.line, problem.column);
    editor.trouble.replaceChildren(problems.length ? problemList(problems, this.state.document, go) : "");
    const first = own.find((problem) => problem.line);
    if (first) go(first);
  }

  #put(view) {
    const { view: host } = this.parts;
    if (host.firstChild === view && host.childNodes.length === 1) return;
    const kept = this.placed === this.#place() ? [...host.querySelectorAll(".code, .scroll")].map((each) => each.scrollTop) : [];
    host.replaceChildren(view);
    host.querySelectorAll(".code, .scroll").forEach((each, i) => (each.scrollTop = kept[i] ?? 0));
    this.placed = this.#place();
    host.dataset.view = this.state.view;
  }

  #place = () => `${this.state.document}@${this.state.version}:${this.state.view}`;

  #empty() {
    this.parts.documents.replaceChildren(make("p", { class: "nothing" }, "No documents"));
    this.#nothing("There are no rules yet. Import a file of rules to begin.", "empty");
    this.answered();
  }

  #nothing(text, kind = "missing") {
    this.shown = null;
    this.placed = "";
    if (kind !== "missing") this.parts.versions.replaceChildren();
    this.parts.heading.replaceChildren();
    this.parts.tabs.replaceChildren();
    this.parts.view.replaceChildren(make("p", { class: "nothing", role: "status", "data-kind": kind }, text));
  }

  #busy(busy) {
    this.parts.view.setAttribute("aria-busy", String(busy));
  }

  #back() {
    this.state = address.read();
    this.show();
  }

  /** A plain click on a link of this page is a step within it; with Ctrl, Shift or the middle button the browser opens a tab. */
  #clicked(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const target = new URL(link.href);
    if (target.origin !== window.location.origin || target.pathname !== window.location.pathname || !link.closest("#rules")) return;
    event.preventDefault();
    this.say("");
    const asked = address.read(target.search);
    this.go(link.dataset.view && this.#awaited() ? { view: asked.view } : asked);
  }

  /** Whether another version than the one on screen is on its way: a tab that is clicked meanwhile is meant for that one. */
  #awaited() {
    const { state, shown } = this;
    if (!shown) return false;
    return state.document !== shown.document.document || (state.version > 0 && state.version !== shown.version.version);
  }

  #key(event) {
    if (event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey) && this.editor) {
      event.preventDefault();
      actions.save(this);
    }
  }

  async #poll() {
    if (document.hidden || document.querySelector("dialog[open]") || this.polling) return;
    this.polling = true;
    try {
      if ((await this.store.changed()) || !this.shown) await this.show();
      else this.answered();
    } catch (error) {
      this.failed(error);
    } finally {
      this.polling = false;
    }
  }
}

/** A version's life in one line. */
function factsOf(version) {
  const by = (what, who, at) => who && `${what} by ${who}${at ? `, ${moment(at)}` : ""}`;
  const active = { active: "active since", retired: "was active from" }[version.state];
  return [
    by(version.reverted_to ? `text of v${version.reverted_to}, taken` : "written", version.author, version.at),
    version.submitter !== version.author && by("submitted", version.submitter),
    by("approved", version.approver, version.approved_at),
    active && version.active_at && `${active} ${moment(version.active_at)}`,
    OPEN.has(version.state) && (version.effective_from ? `takes effect ${version.effective_from}` : "takes effect at once"),
    version.retired_at && `retired ${moment(version.retired_at)}`,
  ].filter(Boolean);
}
