// Every feed in one line.

import { make } from "../grid/dom.js";
import { Sparkline } from "../page/sparkline.js";
import { ADDRESS } from "./state.js";
import { link, LiveTable } from "../page/table.js";
import { count, moment, rate, roughly, since, stateOf } from "./words.js";

/** `page.state`, for the addresses of links. */
export function feedsTable(page) {
  const sparks = new Map();
  const spark = (feed) => {
    if (!sparks.has(feed.feed)) sparks.set(feed.feed, new Sparkline());
    const line = sparks.get(feed.feed);
    line.show(feed.rates);
    return line.host;
  };
  const off = (feed) => feed.state === "off";
  const counted = (td, feed, view, value, level, tip) => {
    td.classList.toggle("zero", !value);
    if (!value) return off(feed) ? "" : "0";
    return link(td, { href: ADDRESS.of({ ...page.state, view, feed: feed.feed }), text: count(value), title: tip, tone: level });
  };
  const lag = (td, feed) => {
    td.classList.toggle("zero", !feed.lag);
    return off(feed) ? "" : count(feed.lag);
  };
  const columns = [
    { id: "state", title: "State", tip: "Late: longer than its limit not known to be complete", cell: (feed, td) => state(td, feed) },
    { id: "feed", title: "Feed", cell: (feed, td) => name(td, feed, page) },
    { id: "lag", title: "Lag", tip: "Records that are there and not yet read", num: true, cell: (feed, td) => lag(td, feed) },
    { id: "late", title: "Last good", tip: "How long ago its source last answered and all of it was read; the bar fills up to the limit", num: true, cell: (feed, td) => late(td, feed) },
    { id: "limit", title: "Limit", tip: "Later than this, it is stale", num: true, cell: (feed) => roughly(feed.limit_s * 1000) },
    { id: "good", title: "At, UTC", tip: "When it was last known to be complete", num: true, cell: (feed) => (off(feed) ? "" : moment(feed.last_good, page.now)) },
    { id: "age", title: "Newest", tip: "Since its newest record came; a feed that has nothing to say is not late", num: true, cell: (feed) => (off(feed) ? "" : since(feed.age_ms)) },
    { id: "rate", title: "Rec/s", tip: "Records a second", num: true, cell: (feed) => (off(feed) ? "" : rate(feed.rate)) },
    { id: "spark", title: "2 min", tip: "Records a second over the last two minutes", cell: (feed) => (off(feed) ? "" : spark(feed)) },
    { id: "gaps", title: "Gaps", tip: "Sequence numbers that have not come, over all its sources", num: true, cell: (feed, td) => counted(td, feed, "gaps", feed.gaps, "bad", "Which numbers") },
    { id: "quarantined", title: "Quarantined", tip: "Events of records that could not be used", num: true, cell: (feed, td) => counted(td, feed, "quarantine", feed.quarantined, "warn", "Which records") },
    { id: "parked", title: "Parked", tip: "Records that wait for reference data", num: true, cell: (feed, td) => counted(td, feed, "parked", feed.parked, "warn", "Which records") },
    { id: "records", title: "Records", tip: "Read since the start", num: true, cell: (feed) => (off(feed) ? "" : count(feed.records)) },
    { id: "concern", title: "If stale", tip: "What is in doubt while it is stale", cell: (feed) => feed.concern.join(" ").toLowerCase() || "–" },
  ];
  return new LiveTable({
    label: "Feeds",
    columns,
    key: (feed) => feed.feed,
    mark: (tr, feed) => {
      tr.dataset.state = feed.state;
      tr.classList.toggle("sel", feed.feed === page.state.feed);
    },
  });
}

/** A state as a shape, a word and a colour. */
export function state(td, row) {
  const { icon, text } = stateOf(row.state);
  const told = `${icon} ${text}`;
  if (td.textContent !== told) td.replaceChildren(make("span", { "aria-hidden": "true" }, `${icon} `), text);
  td.className = `state ${row.state}`;
}

function name(td, feed, page) {
  const to = page.state.feed === feed.feed && page.state.view === "gaps" ? { view: "service", feed: "" } : { view: "gaps", feed: feed.feed };
  link(td, { href: ADDRESS.of({ ...page.state, ...to }), text: feed.title, title: `${feed.topic}${feed.required ? "; required" : ""}` });
}

function late(td, feed) {
  if (feed.state === "off" || feed.late_ms === null) {
    td.style.removeProperty("--used");
    return feed.state === "off" ? "" : "never";
  }
  td.style.setProperty("--used", `${Math.min(100, (feed.late_ms / feed.limit_s) * 0.1).toFixed(0)}%`);
  return since(feed.late_ms);
}
