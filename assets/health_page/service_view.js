// The processes of the service, and what keeps its state: snapshots, archive, parking, quarantine, security master.

import { make } from "../grid/dom.js";
import { state } from "./feeds_view.js";
import { LiveTable } from "../page/table.js";
import { ADDRESS } from "./state.js";
import { count, moment, roughly, since, size } from "./words.js";

export class ServiceView {
  constructor(page) {
    this.page = page;
    this.processors = new Map();
    this.processes = new LiveTable({
      label: "Processes",
      key: (row) => row.process,
      mark: (tr, row) => (tr.dataset.state = row.state),
      columns: [
        { id: "state", title: "State", cell: (row, td) => state(td, row) },
        { id: "process", title: "Process", cell: (row) => row.process },
        { id: "memory", title: "Memory", tip: "Resident, with what it shares with others", num: true, cell: (row) => size(row.memory_bytes) },
        { id: "cpu", title: "CPU", tip: "Of one core, since the last look", num: true, cell: (row) => this.#processor(row) },
        { id: "up", title: "Up", num: true, cell: (row) => roughly(row.up_ms) },
        { id: "restarts", title: "Restarts", num: true, cell: (row, td) => restarts(row, td) },
        { id: "pid", title: "Pid", num: true, cell: (row) => (row.pid ? String(row.pid) : "–") },
      ],
    });
    this.nobody = make("p", { class: "nothing" }, "No supervisor tells of processes here.");
    this.facts = make("div", { class: "facts" });
    this.host = make("div", { class: "service" },
      make("section", { "aria-label": "Processes" }, make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Processes" }, this.processes.table, this.nobody)),
      this.facts);
    this.cards = new Map();
  }

  show(status) {
    this.processes.show(status.processes);
    this.nobody.hidden = status.processes.length > 0;
    for (const [name, card] of Object.entries(cardsOf(status, this.page))) this.#card(name, card);
    this.shownAt = performance.now();
  }

  #card(name, { state: of, rows, problem }) {
    let card = this.cards.get(name);
    if (!card) {
      const badge = make("span", { class: "state" });
      const list = make("dl");
      const trouble = make("p", { class: "trouble" });
      card = { badge, list, trouble, values: new Map(), host: make("section", { class: "card", "aria-label": name }, make("h3", {}, name, " ", badge), list, trouble) };
      this.cards.set(name, card);
      this.facts.append(card.host);
    }
    state(card.badge, { state: of });
    card.host.dataset.state = of;
    card.trouble.textContent = problem ?? "";
    for (const [label, value, tone = "", href = ""] of rows) {
      let dd = card.values.get(label);
      if (!dd) {
        dd = make("dd");
        card.values.set(label, dd);
        card.list.append(make("dt", {}, label), dd);
      }
      if (dd.textContent !== value || Boolean(dd.firstElementChild) !== Boolean(href)) dd.replaceChildren(href ? make("a", { href }, value) : value);
      dd.className = tone;
    }
  }

  /** Of one core, from the processor time of two looks. */
  #processor(row) {
    if (row.processor_s === null) return "–";
    const now = performance.now() / 1000;
    const before = this.processors.get(row.process);
    if (before && before.pid === row.pid && now - before.at < 1.5) return before.text;
    const percent = before && before.pid === row.pid ? `${Math.round((100 * (row.processor_s - before.used)) / (now - before.at))}%` : "–";
    this.processors.set(row.process, { pid: row.pid, at: now, used: row.processor_s, text: percent });
    return percent;
  }
}

function restarts(row, td) {
  td.classList.toggle("warn", row.restarts > 0);
  return count(row.restarts);
}

const warn = (bad, tone = "warn") => (bad ? tone : "");

function cardsOf(status, page) {
  const { snapshot, archive, parked, quarantine } = status;
  const to = (view) => ADDRESS.of({ ...page.state, view, feed: "" });
  const cards = {
    Engine: {
      state: status.ready ? (status.heartbeat_age_ms > 2000 ? "stale" : "live") : "starting",
      rows: [
        ["Heartbeat", since(status.heartbeat_age_ms), warn(status.heartbeat_age_ms > 2000, "bad")],
        ["Events applied", count(status.events)],
        ["Numbers missing", count(status.missing), warn(status.missing)],
        ["Came twice", count(status.duplicates)],
        ["Refused", count(status.rejected), warn(status.rejected)],
      ],
    },
    Snapshots: snapshot
      ? {
          state: snapshot.problem ? "stale" : snapshot.taken_at ? "live" : "starting",
          problem: snapshot.problem,
          rows: [
            ["Newest", snapshot.taken_at ? moment(snapshot.taken_at, page.now) : "none yet"],
            ["Age", since(snapshot.age_ms)],
            ["Size", size(snapshot.size_bytes)],
            ["Writer stopped for", snapshot.pause_ms === null ? "–" : `${snapshot.pause_ms.toFixed(1)} ms`, warn(snapshot.pause_ms > 20, "bad")],
            ["Kept", count(snapshot.kept)],
            ["Damaged, passed over", count(snapshot.skipped ?? 0), warn(snapshot.skipped)],
          ],
        }
      : { state: "off", rows: [["Newest", "no snapshots here"]] },
    Archive: archive
      ? {
          state: archive.state,
          problem: archive.problem,
          rows: [
            ["Written up to", moment(archive.written_at, page.now)],
            ["Behind", since(archive.behind_ms), warn(archive.state !== "live" && archive.state !== "off", "bad")],
            ["Waiting", size(archive.backlog_bytes)],
            ["On disk", size(archive.size_bytes)],
            ["Gaps", count(archive.gaps), warn(archive.gaps, "bad")],
          ],
        }
      : { state: "off", rows: [["Written up to", "no archive here"]] },
    "Set aside": {
      state: parked.problem ? "stale" : "live",
      problem: parked.problem,
      rows: [
        ["Parked records", `${count(parked.records)} / ${count(parked.limit_records)}`, warn(parked.records), to("parked")],
        ["Parked shares", count(parked.shares), warn(parked.shares)],
        ["Oldest parked", moment(parked.oldest, page.now)],
        ["Quarantined", `${count(quarantine.entries)} / ${count(quarantine.limit_entries)}`, warn(quarantine.entries), to("quarantine")],
        ["Dropped, it was full", count(quarantine.dropped), warn(quarantine.dropped, "bad")],
      ],
    },
    "Security master": {
      state: status.exceptions === null ? "off" : status.exceptions ? "open" : "live",
      rows: [["Identifier conflicts", status.exceptions === null ? "not told here" : status.exceptions ? `${count(status.exceptions)} wait for a person` : "none", warn(status.exceptions)]],
    },
  };
  return cards;
}

