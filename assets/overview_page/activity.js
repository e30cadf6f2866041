// Decisions as they are made: locates, orders and breaks in one list, the newest first.

import { make } from "../grid/dom.js";
import { stateText } from "../locates_page/words.js";
import { query } from "../page/rest.js";
import { severity } from "../page/severity.js";
import { LiveTable, link } from "../page/table.js";
import { moment, sentence, shares } from "../page/words.js";

const SHOWN = 40;
/** So long a line is marked as new. */
const NEW_MS = 4000;
const ORDERS = { approved: "●", rejected: "✕", filled: "■", cancelled: "○", expired: "◌" };

export class Activity {
  constructor(host, page) {
    this.host = host;
    this.none = make("p", { class: "nothing", role: "status" });
    this.table = new LiveTable({
      label: "Newest decisions and breaks", key: (row) => row.key, mark: (tr, row) => (tr.className = row.at > page.now - NEW_MS ? "new" : ""),
      columns: [
        { id: "at", title: "Time", cell: (row) => moment(row.at, page.now) },
        { id: "what", title: "What", cell: (row) => row.what },
        { id: "client", title: "Client, depot", cell: (row) => row.client },
        { id: "security", title: "Security", cell: (row, td) => void link(td, { href: row.of, text: row.security }) },
        { id: "quantity", title: "Quantity", num: true, cell: (row, td) => void link(td, { href: row.href, text: shares(row.quantity), title: "Why, and what became of it" }) },
        { id: "granted", title: "Granted", num: true, cell: (row) => (row.granted === null ? "" : shares(row.granted)) },
        { id: "state", title: "State", cell: (row, td) => state(td, row) },
        { id: "reason", title: "Reason", cell: (row, td) => ((td.title = row.reason), row.reason) },
      ],
    });
  }

  show(locates, orders, breaks, stands) {
    const rows = [...locates.map(ofLocate), ...orders.map(ofOrder), ...breaks.map((each) => ofBreak(each, stands))].sort((one, other) => other.at - one.at).slice(0, SHOWN);
    this.host.setAttribute("aria-busy", "false");
    if (!rows.length) this.#say("Nothing has been decided yet: locates and orders appear here as they are.");
    else {
      this.table.show(rows);
      if (this.host.firstChild !== this.table.table) this.host.replaceChildren(this.table.table);
    }
  }

  blank(text, kind) {
    this.host.setAttribute("aria-busy", "false");
    this.#say(text, kind);
  }

  #say(text, kind = "") {
    if (this.none.textContent !== text) this.none.textContent = text;
    if (kind) this.none.dataset.kind = kind;
    else delete this.none.dataset.kind;
    if (this.host.firstChild !== this.none) this.host.replaceChildren(this.none);
  }
}

function state(td, row) {
  td.className = `state ${row.state}`;
  return row.mark;
}

const securityPage = (code) => `/inventory${query({ sec: code })}`;

const ofLocate = (locate) => ({
  key: `locate ${locate.id}`, at: Date.parse(locate.updated_at), what: `${locate.type === "long" ? "Long" : "Short"} locate`, client: locate.client, security: locate.security, of: securityPage(locate.security),
  quantity: locate.requested, granted: locate.state === "pending" ? null : locate.approved, state: locate.state, mark: stateText(locate.state), reason: sentence(locate.reason ?? ""), href: `/locates${query({ view: "all", id: locate.id })}`,
});

const ofOrder = (order) => ({
  key: `order ${order.order}`, at: Date.parse(order.updated_at), what: `${sentence(order.side)} sell`, client: order.client, security: order.security, of: securityPage(order.security),
  quantity: order.requested, granted: order.approved, state: order.state, mark: `${ORDERS[order.state] ?? "◐"} ${order.state}`, reason: sentence(order.reason ?? ""), href: `/limits${query({ owner: order.client, of: order.security })}`,
});

const ofBreak = (found, stands) => ({
  key: `break ${found.id}`, at: Date.parse(found.last_changed_at), what: `${sentence(found.kind)} break`, client: found.client || found.depot || found.book, security: found.security, of: securityPage(found.security),
  quantity: found.quantity, granted: null, state: found.severity, mark: severity(found.severity), reason: found.title, href: stands ? `/breaks${query({ id: found.id })}` : securityPage(found.security),
});
