// The KPI strip: the machine in one line, from the stats messages.

import { clock, compact, fineAge, quantity } from "./formats.js";
import { make } from "./dom.js";

const good = () => "";
const warnAbove0 = (value) => (value > 0 ? "warn" : "");
const badAbove0 = (value) => (value > 0 ? "bad" : "");

const parked = (records, { parked_shares: shares }) => (shares ? `${quantity(records)} · ${compact(shares)}` : quantity(records));

// key, label, width in characters, value of the stats, text, judgement, hint, and where it leads
const ITEMS = [
  ["securities", "Securities", 7, (s) => s.securities, quantity, good, "Securities in the inventory"],
  ["positions", "Positions", 9, (s) => s.rows, quantity, good, "Rows of the position table"],
  ["rate", "Events/s", 7, (s) => s.events_per_s, quantity, good, "Events applied in the last second"],
  ["events", "Events", 7, (s) => s.events, compact, good, "Events applied since the start"],
  ["locates", "Live locates", 7, (s) => s.locates_live, quantity, good, "Approved locates that hold shares"],
  ["pending", "Pending", 5, (s) => s.locates_pending, quantity, warnAbove0, "Locates that wait for a decision"],
  ["located", "Located shs", 8, (s) => s.located_shares, compact, good, "Shares taken out of the pools by live locates"],
  ["htb", "HTB", 6, (s) => s.htb, quantity, good, "Hard-to-borrow securities"],
  ["negative", "Negative", 6, (s) => s.negative, quantity, badAbove0, "Securities whose remaining is below zero"],
  ["quarantined", "Quarantined", 6, (s) => s.quarantined, quantity, warnAbove0, "Records kept aside: unreadable or unknown"],
  ["parked", "Parked · shs", 9, (s) => s.parked, parked, warnAbove0, "Records that wait for reference data: the list is on the page Health", "/feeds?view=parked"],
  ["rejected", "Rejected", 6, (s) => s.rejected, quantity, warnAbove0, "Events that could not be applied"],
  ["duplicates", "Dup", 5, (s) => s.duplicates, quantity, good, "Events that came twice and were applied once"],
  ["missing", "Missing", 5, (s) => s.missing, quantity, badAbove0, "Sequence numbers that have not come"],
  ["age", "Data age", 5, (s) => s.event_age_ms ?? NaN, fineAge, good, "Since the newest event's own time"],
];

export class Strip {
  constructor(host) {
    this.items = ITEMS.map(([key, label, width, value, text, judge, tip, href]) => {
      const number = make("b", { style: `min-width:${width}ch` }, "–");
      const part = make(href ? "a" : "div", { class: "kpi", "data-kpi": key, title: tip, href }, make("small", {}, label), number);
      host.append(part);
      return { number, value, text, judge };
    });
    this.clock = make("b", { style: "min-width:8ch" }, "");
    host.append(make("div", { class: "kpi clock", title: "Coordinated universal time" }, make("small", {}, "UTC"), this.clock));
    this.tick();
    setInterval(() => this.tick(), 1000);
  }

  tick() {
    this.clock.textContent = clock(Date.now());
  }

  show(stats) {
    for (const { number, value, text, judge } of this.items) {
      const now = value(stats) ?? NaN;
      number.textContent = text(now, stats);
      number.className = judge(now);
    }
  }
}
