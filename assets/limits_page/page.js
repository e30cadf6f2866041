// The page Limits: what a client or unit may still sell, why it is so much, and the orders that take it, as they are decided.

import { make } from "../grid/dom.js";
import { NONE } from "../grid/formats.js";
import { LivePage } from "../page/live.js";
import { picked } from "../page/picked.js";
import { ApiError } from "../page/rest.js";
import { LiveTable, link as lead } from "../page/table.js";
import { moment, portion, shares, words } from "../page/words.js";
import { overTime, why } from "./why.js";

const ORDERS = 100;
const LIMITS = 500;
/** Hundreds of limits, each made anew from positions, do not need to be read each second. */
const LIMITS_POLLS = 3;
/** So long an order is marked as new. */
const NEW_MS = 4000;
const ICONS = { approved: "●", rejected: "✕", filled: "■", cancelled: "○", expired: "◌" };
const ASK = "Name a client or an aggregation unit above: its limits are shown here. A click on one in the list of orders does the same.";

export class LimitsPage extends LivePage {
  /** `parts`: elements root, list, why, orders, notice, facts. */
  constructor(api, parts, chip, address) {
    super(api, parts, chip, address);
    this.limits = this.#limits();
    this.orders = this.#orders();
    this.none = make("p", { class: "nothing", role: "status" });
    this.noOrders = make("p", { class: "nothing", role: "status" });
    parts.list.addEventListener("click", (event) => this.#clicked(event));
    parts.list.addEventListener("keydown", (event) => this.#key(event));
    parts.orders.addEventListener("click", (event) => this.#step(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.state.of) this.go({ of: "" });
    });
  }

  async load(newest, polled) {
    const { scope, owner, security } = this.state;
    this.follow?.();
    const whose = owner && { [scope]: owner };
    const due = !polled || this.polls % LIMITS_POLLS === 0;
    const [orders, limits] = await Promise.all([
      this.#found(this.api.orders({ ...whose, security, limit: ORDERS }), "orders"),
      owner && due ? this.#found(this.api.limits({ ...whose, security, limit: LIMITS }), "limits") : (owner && this.shown) || [],
    ]);
    if (!newest()) return;
    this.shown = limits.sort((one, other) => urgency(other) - urgency(one));
    this.#list(limits);
    this.#showOrders(orders);
    await this.#why(newest, limits);
  }

  blank(text, kind) {
    this.#put(this.parts.list, this.none, text, kind);
    this.parts.why.replaceChildren();
    this.parts.orders.replaceChildren();
  }

  /** The list in the answer; an owner or security that nobody knows has none. */
  async #found(answer, name) {
    try {
      return (await answer)[name];
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return [];
      throw error;
    }
  }

  #put(host, none, text, kind = "") {
    none.textContent = text;
    none.dataset.kind = kind;
    if (!kind) delete none.dataset.kind;
    host.setAttribute("aria-busy", "false");
    if (host.firstChild !== none) host.replaceChildren(none);
  }

  #list(limits) {
    const { owner, scope } = this.state;
    const { list } = this.parts;
    if (!owner) return this.#put(list, this.none, ASK);
    if (!limits.length) return this.#put(list, this.none, `${owner} has nothing to sell: no ${scope === "au" ? "aggregation unit" : "client"} of this name has positions, locates or orders${this.state.security ? " in it" : ""}.`);
    list.setAttribute("aria-busy", "false");
    this.limits.show(limits);
    if (list.firstChild !== this.limits.table) list.replaceChildren(this.limits.table);
    const rows = [...this.limits.body.rows];
    const open = this.#open(limits);
    rows.forEach((tr, at) => {
      const on = tr.dataset.key === open;
      tr.classList.toggle("sel", on);
      tr.setAttribute("aria-current", String(on));
      tr.tabIndex = on || (!open && at === 0) ? 0 : -1;
    });
    return undefined;
  }

  /** The security whose limits are explained: the one chosen, or the only one. */
  #open = (limits) => this.state.of || (limits.length === 1 ? limits[0].security : "");

  async #why(newest, limits) {
    const { scope, owner, side } = this.state;
    const host = this.parts.why;
    const open = (owner && this.#open(limits)) || "";
    const told = open ? await this.api.why(scope, owner, open).catch((error) => this.#unknown(error)) : null;
    if (!newest()) return;
    if (open !== this.opened) picked((this.opened = open));
    const text = JSON.stringify([told && { ...told, at: 0 }, side, open]).replaceAll(/"as_of":"[^"]*"/g, "");
    if (text === this.whyTold) return;
    this.whyTold = text;
    if (!told) {
      host.replaceChildren(make("p", { class: "nothing" }, open ? `Nobody knows limits of ${owner} in ${open}.` : "Choose a limit: every input, rule and row that it is made of is shown here."));
      return;
    }
    const held = host.contains(document.activeElement) ? document.activeElement.dataset.side : null;
    const unfolded = new Set([...host.querySelectorAll("details[open]")].map(({ dataset }) => dataset.of));
    host.replaceChildren(...why(told, side, (name) => this.go({ side: name })));
    host.querySelectorAll("details").forEach((each) => (each.open = unfolded.has(each.dataset.of)));
    if (held) host.querySelector(`[data-side="${held}"]`)?.focus();
  }

  #unknown(error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }

  #showOrders(orders) {
    const { orders: host } = this.parts;
    if (!orders.length) return this.#put(host, this.noOrders, this.state.owner || this.state.security ? "No order is like this." : "Nobody has asked whether an order may be sold.");
    host.setAttribute("aria-busy", "false");
    this.orders.show(orders);
    if (host.firstChild !== this.orders.table) host.replaceChildren(this.orders.table);
    return undefined;
  }

  #clicked(event) {
    if (!event.target.closest("a")) this.#chosen(event.target.closest("tbody tr"));
  }

  #chosen(row) {
    if (!row) return;
    row.focus();
    this.go({ of: row.dataset.key === this.state.of ? "" : row.dataset.key });
  }

  #key(event) {
    const row = event.target.closest("tbody tr");
    if (!row || event.target.closest("a")) return;
    const rows = [...row.parentElement.rows];
    const to = { ArrowDown: rows[rows.indexOf(row) + 1], ArrowUp: rows[rows.indexOf(row) - 1] }[event.key];
    if (to) {
      to.focus();
      if (this.state.of) this.go({ of: to.dataset.key }, { step: false });
    } else if (event.key === "Enter") this.#chosen(row);
    else return;
    event.preventDefault();
  }

  /** A plain click on a link of this page is a step within it. */
  #step(event) {
    const link = event.target.closest?.("a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.go({ ...this.address.read(new URL(link.href).search), theme: this.state.theme });
  }

  #limits() {
    const left = (side) => ({ id: `${side}-left`, title: `${side === "short" ? "Short" : "Long"} left`, tip: "Shares that may still be sold; negative: more was promised than is there", num: true, cell: (limit, td) => amount(td, limit[side].left) });
    const used = (side) => ({ id: `${side}-used`, title: "Used", tip: "What orders hold of it; the bar fills up as it is used", num: true, cell: (limit, td) => bar(td, limit[side]) });
    return new LiveTable({ label: "Limits", key: ({ security }) => security, columns: [
      { id: "security", title: "Security", cell: (limit) => limit.security },
      { id: "name", title: "Name", cell: (limit) => [limit.ticker, limit.name].filter(Boolean).join(" · ") },
      { id: "market", title: "Market", cell: (limit) => limit.market ?? "" },
      left("short"), used("short"), left("long"), used("long"),
      { id: "time", title: "Over time", tip: "Both limits over time, on the page History", cell: (limit, td) => lead(td, { href: overTime(limit), text: "∿ chart", title: `${limit.owner} in ${limit.security} over time` }) },
    ] });
  }

  #orders() {
    const to = (change) => this.address.of({ ...this.state, of: "", ...change });
    const link = (td, text, change) => {
      if (td.textContent !== text) td.replaceChildren(make("a", { href: to(change) }, text));
    };
    const seen = (limit) => (limit ? `${shares(limit.before)} → ${shares(limit.after)}` : NONE);
    const columns = [
      { id: "at", title: "At, UTC", cell: (order) => moment(order.received_at, this.now) },
      { id: "state", title: "State", cell: (order, td) => state(td, order.state) },
      { id: "order", title: "Order", cell: (order) => order.order },
      { id: "side", title: "Side", cell: (order) => order.side },
      { id: "security", title: "Security", cell: (order) => order.security },
      { id: "client", title: "Client", cell: (order, td) => link(td, order.client, { scope: "client", owner: order.client, of: order.security }) },
      { id: "unit", title: "Unit", cell: (order, td) => (order.au_limit ? link(td, order.au_limit.owner, { scope: "au", owner: order.au_limit.owner, of: order.security }) : NONE) },
      { id: "requested", title: "Asked for", num: true, cell: (order) => shares(order.requested) },
      { id: "approved", title: "Approved", num: true, cell: (order, td) => amount(td, order.approved) },
      { id: "executed", title: "Sold", num: true, cell: (order, td) => amount(td, order.executed) },
      { id: "open", title: "Open", num: true, cell: (order, td) => amount(td, order.open) },
      { id: "client-limit", title: "Client's limit", tip: "Before and after the decision", num: true, cell: (order) => seen(order.client_limit) },
      { id: "au-limit", title: "Unit's limit", tip: "Before and after the decision", num: true, cell: (order) => seen(order.au_limit) },
      { id: "took", title: "Took", tip: "From the request to the last decision on it", num: true, cell: (order) => `${(order.took_us / 1000).toFixed(1)} ms` },
      { id: "reason", title: "Why", cell: (order) => [order.reason && words(order.reason), order.remark].filter(Boolean).join(": ") },
    ];
    return new LiveTable({ label: "Orders", columns, key: ({ order }) => order, mark: (tr, order) => tr.classList.toggle("new", this.now - Date.parse(order.updated_at) < NEW_MS) });
  }
}

/** Overdrawn first, then those that orders hold something of. */
const urgency = ({ short, long }) => (short.left < 0 || long.left < 0 ? 2 : short.used || long.used ? 1 : 0);

function amount(td, value) {
  td.classList.toggle("zero", !value);
  td.classList.toggle("bad", value < 0);
  return shares(value);
}

/** What is used, and a bar of how much that is of all. */
function bar(td, { left, used }) {
  const part = used > 0 ? Math.min(1, used / Math.max(1, used + Math.max(0, left))) : 0;
  td.style.setProperty("--used", `${part * 100}%`);
  td.title = portion(part);
  td.classList.toggle("zero", !used);
  td.classList.toggle("much", part >= 0.9);
  return shares(used);
}

function state(td, name) {
  td.className = `state ${name}`;
  return `${ICONS[name] ?? "?"} ${words(name)}`;
}
