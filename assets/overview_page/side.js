// The cards at the side: how the service fares, locates of today, what rings and what does not agree.

import { make } from "../grid/dom.js";
import { age } from "../grid/formats.js";
import { Sparkline } from "../page/sparkline.js";
import { query } from "../page/rest.js";
import { mark, SEVERITIES } from "../page/severity.js";
import { portion, sentence, shares } from "../page/words.js";
import { whole } from "./words.js";

/** So many seconds of events are shown. */
const RATES = 60;
const GOOD = ["live", "behind", "off", "starting"];

/** A card of lines: {label, text, href, tone, tip}. What has not changed is not touched. */
class Card {
  constructor(id, title, href) {
    this.list = make("dl", {});
    const heading = make("h2", { id: `${id}-title` }, href ? make("a", { href }, title) : title);
    this.host = make("section", { id, class: "facts-card", "aria-labelledby": `${id}-title`, hidden: "" }, heading, this.list);
    this.lines = new Map();
  }

  show(lines) {
    this.host.hidden = !lines.length;
    const labels = lines.map(({ label }) => label);
    if (labels.join() !== [...this.lines.keys()].join()) {
      this.lines = new Map(labels.map((label) => [label, { dt: make("dt", {}, label), dd: make("dd"), link: make("a") }]));
      this.list.replaceChildren(...[...this.lines.values()].flatMap(({ dt, dd }) => [dt, dd]));
    }
    for (const line of lines) this.#line(this.lines.get(line.label), line);
  }

  #line({ dd, link }, { text, href = "", tone = "", tip = "", node = null }) {
    const host = href ? link : dd;
    if (href && dd.firstChild !== link) dd.replaceChildren(link);
    if (href && link.getAttribute("href") !== href) link.setAttribute("href", href);
    if (node ? host.firstChild !== node : host.textContent !== text) host.replaceChildren(node ?? text);
    host.className = tone;
    host.title = tip;
  }
}

export class Side {
  constructor(host) {
    this.cards = { health: new Card("health-card", "Health", "/feeds"), locates: new Card("locates-card", "Locates", "/locates"), alerts: new Card("alerts-card", "Alerts"), breaks: new Card("breaks-card", "Breaks", "/breaks") };
    this.absent = make("p", { class: "absent sub", role: "status" });
    host.append(...Object.values(this.cards).map((card) => card.host), this.absent);
    this.spark = new Sparkline();
    this.rates = [];
  }

  /** `status`: of the service; null where that is not this person's to see. `sums`: the gateway's answer, or null. */
  health(status, sums) {
    const lines = [];
    if (sums) {
      const { events_per_s: rate, events, event_age_ms: old } = sums.stats;
      if (this.told !== sums.made_ms && rate !== null && rate !== undefined) {
        this.told = sums.made_ms;
        this.rates = [...this.rates, rate].slice(-RATES);
        this.spark.show(this.rates);
      }
      lines.push({ label: "Events/s", text: whole(rate), href: "/feeds", tip: "Applied in the last second" }, { label: "The last minute", text: "", node: this.spark.host }, { label: "Events", text: whole(events), href: "/feeds", tip: "Applied since the start" });
      lines.push({ label: "Newest event", text: old === null || old === undefined ? "none yet" : `${age(old)} ago`, href: "/feeds" });
    }
    if (status) lines.push(...service(status));
    this.cards.health.show(lines);
  }

  locates(pending, today, date) {
    if (!pending || !today) return this.cards.locates.show([]);
    const of = (...states) => today.states.filter(({ state }) => states.includes(state)).reduce((sum, { count }) => sum + count, 0);
    const here = (asked) => `/locates${query({ view: "all", date, ...asked })}`;
    return this.cards.locates.show([
      { label: "Pending", text: whole(pending.count), href: "/locates", tone: pending.count ? "warn" : "", tip: `${shares(pending.requested)} shares wait for a person, or for stock` },
      { label: "Asked for today", text: `${whole(today.count)} · ${shares(today.requested)}`, href: here({}), tip: "Locates, and their shares (day by UTC)" },
      { label: "Granted today", text: shares(today.approved), href: here({}), tip: "Shares approved" },
      { label: "Rejected today", text: whole(of("rejected")), href: here({ state: "rejected" }) },
      { label: "Used of granted", text: portion(today.utilisation), href: here({}), tip: `${shares(today.used)} shares of ${shares(today.approved)} were sold on locates of today` },
    ]);
  }

  /** Alerts and breaks by severity; null: there are none to ask for. */
  trouble(alerts, breaks) {
    const raised = (alerts?.alerts ?? []).filter((alert) => alert.raised);
    const by = (severity) => raised.filter((alert) => alert.severity === severity);
    this.cards.alerts.show(alerts ? SEVERITIES.map((severity) => line(severity, by(severity).reduce((sum, alert) => sum + alert.raised, 0), "", by(severity).map(({ name }) => name).join(", "))).filter(({ count }, at) => count || !at) : []);
    const kinds = breaks?.by_kind ?? [];
    const lines = SEVERITIES.map((severity) => line(severity, kinds.reduce((sum, kind) => sum + (kind[severity] ?? 0), 0), `/breaks${query({ severity })}`, kinds.filter((kind) => kind[severity]).map((kind) => `${sentence(kind.kind)} ${kind[severity]}`).join(", ")));
    if (breaks?.unowned) lines.push({ label: "Nobody's", text: whole(breaks.unowned), href: `/breaks${query({ owner: "-" })}`, tip: "Breaks that nobody has taken" });
    this.cards.breaks.show(breaks ? lines : []);
  }

  /** What is not there, in one line. */
  say(text) {
    if (this.absent.textContent !== text) this.absent.textContent = text;
    this.absent.hidden = !text;
  }
}

const line = (severity, count, href, tip) => ({ label: `${mark(severity)} ${sentence(severity)}`, text: whole(count), count, href, tip, tone: count ? { critical: "bad", high: "bad", medium: "warn" }[severity] ?? "" : "zero" });

function service({ feeds, processes, snapshot, archive, parked, quarantine, missing, exceptions }) {
  const late = feeds.filter(({ state }) => !GOOD.includes(state));
  const read = feeds.filter(({ state }) => state !== "off");
  const down = processes.filter(({ state }) => state === "down");
  const lines = [
    { label: "Feeds", text: late.length ? late.map(({ title, state }) => `${title} ${state}`).join(", ") : `${read.length} within their limits`, tone: late.length ? "bad" : "", href: "/feeds", tip: read.map(({ title, state }) => `${title}: ${state}`).join("\n") },
    { label: "Processes", text: down.length ? `${down.map(({ process }) => process).join(", ")} down` : `${processes.length} live`, tone: down.length ? "bad" : "", href: "/feeds", tip: processes.map(({ process, state }) => `${process}: ${state}`).join("\n") },
  ];
  if (snapshot) lines.push({ label: "Snapshot", text: snapshot.problem || (snapshot.age_ms === null ? "none yet" : `${age(snapshot.age_ms)} old`), tone: snapshot.problem ? "bad" : "", href: "/feeds" });
  if (archive && archive.state !== "off") lines.push({ label: "Archive", text: archive.problem || archive.state, tone: archive.problem || ["gap", "down"].includes(archive.state) ? "bad" : archive.state === "behind" ? "warn" : "", href: "/feeds" });
  const counted = [["Gaps", missing, "gaps"], ["Parked", parked.records, "parked"], ["Quarantine", quarantine.entries, "quarantine"], ["Identifier conflicts", exceptions, "service"]];
  for (const [label, count, view] of counted) if (count) lines.push({ label, text: whole(count), tone: "warn", href: `/feeds${query({ view })}` });
  return lines;
}
