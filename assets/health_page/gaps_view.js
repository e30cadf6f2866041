// Sources of a feed, the sequence numbers that have not come, and how far its partitions have been applied.

import { make } from "../grid/dom.js";
import { count } from "./words.js";

const SHOWN = 200;

/** `detail`: the feed as the API has it. */
export function gapsView(detail) {
  const { feed, sources, partitions } = detail;
  const sum = make("p", { class: "sub lead" }, `${feed.title} · ${feed.topic} · ${partitions.length ? `${partitions.length} partitions` : "no partitions"}`);
  const rows = [...sources].sort((one, other) => other.missing - one.missing).map(sourceRow);
  const head = ["Source", "Newest number", "Missing", "Numbers that have not come"].map((name, i) => make("th", { scope: "col", class: i === 1 || i === 2 ? "num" : "" }, name));
  const none = sources.length ? "" : make("p", { class: "nothing" }, "No source has sent numbered events through this feed yet.");
  const table = make("table", { id: "gaps", "aria-label": "Sources" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
  const places = partitions.map(({ partition, applied }) => make("tr", {}, make("th", { scope: "row", class: "num" }, String(partition)), make("td", { class: "num" }, count(applied))));
  const offsets = make("table", { id: "partitions", "aria-label": "Partitions" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col", class: "num" }, "Partition"), make("th", { scope: "col", class: "num", title: "Everything before this offset is in the tables" }, "Applied up to"))), make("tbody", {}, ...places));
  return make("div", { class: "split" },
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Gaps" }, sum, sources.length ? table : none),
    partitions.length ? make("div", { class: "scroll narrow", tabindex: 0, role: "region", "aria-label": "Partitions" }, offsets) : "");
}

function sourceRow({ source, newest, missing, gaps }) {
  const told = gaps.slice(0, SHOWN).map(({ first, last }) => make("span", { class: "range" }, first === last ? count(first) : `${count(first)} – ${count(last)}`, last > first ? make("small", {}, ` (${count(last - first + 1)})`) : ""));
  const more = gaps.length > SHOWN ? make("span", { class: "sub" }, `and ${count(gaps.length - SHOWN)} more ranges`) : "";
  return make("tr", {}, make("th", { scope: "row", class: "mono" }, source), make("td", { class: "num" }, count(newest)),
    make("td", { class: missing > 0 ? "num bad" : "num" }, count(missing)), make("td", { class: "words" }, ...(told.length ? told : [make("span", { class: "sub" }, missing > 0 ? "before the numbers that are remembered" : "none")]), more));
}
