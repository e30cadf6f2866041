// Whether the numbers may be trusted, in one chip that cannot be overlooked.

import { age } from "./formats.js";
import { make } from "./dom.js";

const SILENT_MS = 2500;

/** Words in the middle of an empty grid. `verdict`: the chip's name; `none`: what there is none of that matches, "" where that is not known. */
export function whyEmpty(verdict, refused, none) {
  if (verdict === "disconnected") return "No connection to the server; trying again";
  if (refused) return refused;
  if (verdict === "starting") return "Starting: waiting for the first data";
  if (verdict !== "live") return "No data yet";
  return none && `No ${none} matches the filter`;
}

/**
 * What the chip says. `link`: {connected, everConnected, silenceMs, retryMs}; `stats`: the newest stats message or null.
 * Returns {name, text, tip}; name is one of live, stale, starting, down, disconnected.
 */
export function judge(link, stats) {
  if (!link.connected) {
    const wait = Math.max(0, Math.ceil(link.retryMs / 1000));
    const tip = `No connection to the gateway; next attempt in ${wait} s`;
    if (!link.everConnected && link.sinceLoadMs < 1500) return { name: "starting", text: "CONNECTING", tip: "" };
    return { name: "disconnected", text: "DISCONNECTED", tip };
  }
  if (link.silenceMs > SILENT_MS) {
    return { name: "stale", text: `STALE ${age(link.silenceMs)}`, tip: "Connected, but the gateway is silent" };
  }
  if (stats === null || stats.state === "starting") {
    return { name: "starting", text: "STARTING", tip: "The engine is loading its start of day" };
  }
  const engineMs = Math.max(stats.heartbeat_age_ms ?? 0, 0);
  const since = age(engineMs + link.silenceMs);
  if (stats.state === "stale" && stats.doubtful?.includes("SHARES") && engineMs < SILENT_MS) {
    return { name: "stale", text: "STALE", tip: "A feed of positions is late: no locate is approved without a person. The page Health says which" };
  }
  if (stats.state === "stale" && (stats.feed_age_ms ?? 0) > engineMs) {
    const tip = "A feed is silent or behind: no locate is approved without a person";
    return { name: "stale", text: `STALE ${age(stats.feed_age_ms + link.silenceMs)}`, tip };
  }
  if (stats.state === "stale") return { name: "stale", text: `STALE ${since}`, tip: "The engine has stopped updating" };
  if (stats.state === "down") return { name: "down", text: "ENGINE DOWN", tip: `No engine for ${since}; last numbers shown` };
  if (stats.doubtful?.includes("MONEY")) {
    return { name: "live", text: "LIVE · PRICES LATE", tip: "Shares are current. A feed of prices is late: values are marked until it is back" };
  }
  return { name: "live", text: "LIVE", tip: "Numbers are current" };
}

/** Icons differ in shape as well as in colour. */
const ICONS = { live: "●", stale: "▲", starting: "◌", down: "■", disconnected: "✕" };

export class StatusChip {
  constructor(host, title) {
    this.host = host;
    this.title = title;
    this.icon = make("span", { class: "icon", "aria-hidden": "true" });
    this.label = make("span", {});
    host.append(this.icon, this.label);
    this.shown = "";
  }

  show({ name, text, tip }) {
    this.host.title = tip;
    if (this.shown === text) return;
    this.shown = text;
    this.label.textContent = text;
    this.icon.textContent = ICONS[name];
    this.host.dataset.status = name;
    document.documentElement.dataset.status = name;
    document.title = name === "live" ? this.title : `${ICONS[name]} ${text} · ${this.title}`;
  }
}
