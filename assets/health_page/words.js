// The words of the page: states, ages, sizes. Icons differ in shape as well as in colour.

import { age, fineAge, NONE } from "../grid/formats.js";

export const STATES = {
  live: { icon: "●", text: "Live" },
  starting: { icon: "◌", text: "Starting" },
  behind: { icon: "◐", text: "Behind" },
  stale: { icon: "▲", text: "STALE" },
  missing: { icon: "■", text: "MISSING" },
  gap: { icon: "▲", text: "Gap" },
  down: { icon: "■", text: "DOWN" },
  open: { icon: "◐", text: "Open" },
  waiting: { icon: "◌", text: "Waiting" },
  checking: { icon: "◌", text: "Checking" },
  loading: { icon: "◐", text: "Loading" },
  loaded: { icon: "●", text: "Loaded" },
  refused: { icon: "■", text: "REFUSED" },
  duplicate: { icon: "○", text: "Duplicate" },
  off: { icon: "○", text: "Off" },
};
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const CONSEQUENCES = {
  SHARES: "shares are in doubt: no locate is approved without a person",
  MONEY: "values are in doubt: they are marked",
  REFERENCE: "names and owners are in doubt",
  STATEMENTS: "breaks against custodians are in doubt",
};

export const stateOf = (name) => STATES[name] ?? { icon: "?", text: name };
export const count = (value) => (value === null || value === undefined ? NONE : WHOLE.format(value));
export const since = (ms) => (ms === null || ms === undefined ? NONE : fineAge(ms));
export const roughly = (ms) => (ms === null || ms === undefined ? NONE : age(ms));
export const rate = (value) => (value > 0 && value < 10 ? value.toFixed(1) : WHOLE.format(value));
/** Time of day in UTC; of another day with its date. */
export function moment(text, now) {
  if (!text) return NONE;
  const iso = new Date(text).toISOString();
  return iso.slice(0, 10) === new Date(now).toISOString().slice(0, 10) ? iso.slice(11, 19) : iso.slice(0, 16).replace("T", " ");
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let value = bytes;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

/** What follows from what is in doubt, in one sentence. */
export const consequences = (stale) => stale.map((name) => CONSEQUENCES[name] ?? name).join("; ");

/** How things stand, in one sentence: the worst first. */
export function verdict(status) {
  const named = (state) => status.feeds.filter((feed) => feed.state === state).map((feed) => feed.title);
  const parts = [];
  if (named("missing").length) parts.push(`${named("missing").join(", ")} missing`);
  if (named("stale").length) parts.push(`${named("stale").join(", ")} stale`);
  const down = status.processes.filter(({ state }) => state === "down").map(({ process }) => process);
  if (down.length) parts.push(`${down.join(", ")} down`);
  if (status.archive && ["behind", "gap", "down"].includes(status.archive.state)) parts.push(`archive ${status.archive.state}`);
  if (status.archive?.gaps) parts.push(`${status.archive.gaps} gaps in the archive`);
  for (const problem of [status.snapshot?.problem && `snapshots: ${status.snapshot.problem}`, status.parked.problem && `parking: ${status.parked.problem}`]) {
    if (problem) parts.push(problem);
  }
  const doubt = consequences(status.stale);
  const level = status.stale.includes("SHARES") || parts.length ? "bad" : status.stale.length ? "warn" : "good";
  if (!parts.length && !doubt) return status.ready ? quiet(status) : { level: "good", text: "Starting: feeds hand over what existed at start" };
  return { level, text: [parts.join(" · "), doubt].filter(Boolean).join(" — ") };
}

/** Nothing is late: what somebody may still want to look at. */
function quiet({ missing, parked, exceptions }) {
  const left = [[missing, "numbers missing"], [parked.records, "records parked"], [exceptions, "identifier conflicts open"]]
    .filter(([value]) => value).map(([value, what]) => `${count(value)} ${what}`);
  return left.length ? { level: "warn", text: `All feeds are abreast · ${left.join(" · ")}` } : { level: "good", text: "All feeds are complete" };
}
