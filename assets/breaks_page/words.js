// How breaks are written.

import { NONE } from "../grid/formats.js";
import { shares } from "../page/words.js";

export { severity, SEVERITIES } from "../page/severity.js";

export const KINDS = {
  depot: "Depot", td_sd: "TD/SD", front_back: "Front/back", contract: "Contract", identifier: "Identifier", reference: "Parked", party: "Book or unit",
  limit: "Limit", availability: "Availability", feed: "Feed", gap: "Gap", message: "Message",
};
export const STATES = ["open", "acknowledged", "reopened", "resolved"];
export const CAUSES = {
  unsettled_trade: "unsettled trade", late_settlement: "late settlement", start_of_day: "start of day", unmatched_instruction: "unmatched instruction",
  corporate_action: "corporate action", wrong_mapping: "wrong mapping", matched: "matched by a person", feed: "feed",
};
export const ACTIONS = {
  found: "found", changed: "changed", resolved: "solved", reopened: "open again", assigned: "assigned", commented: "comment", acknowledged: "acknowledged", grouped: "put into a group", ungrouped: "taken out of its group",
  matched: "matched", unmatched: "match undone", held: "kept out of availability", returned: "given back", adjust_asked: "adjustment asked for", adjust_approved: "adjustment approved",
  adjust_rejected: "adjustment rejected", adjust_withdrawn: "adjustment withdrawn", adjusted: "adjusted",
};
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const kind = (name) => KINDS[name] ?? name;
export const cause = (name) => CAUSES[name] ?? name.replaceAll("_", " ");

/** With its sign, and, where it is no shares, with what it counts. */
export function quantity({ quantity: value, unit }) {
  if (value === null || value === undefined) return NONE;
  return `${signed(value)}${unit === "shares" ? "" : ` ${unit}`}`;
}

export const signed = (value) => (value === null || value === undefined ? NONE : `${value > 0 ? "+" : value < 0 ? "−" : ""}${shares(Math.abs(value))}`);
export const money = (value) => (value === null || value === undefined ? NONE : WHOLE.format(value).replace("-", "−"));
export const briefly = (value) => COMPACT.format(value).replace("-", "−");

/** What hangs on it, in words. */
export const affected = ({ sellable, lendable, located }) => `${shares(sellable)} sellable · ${shares(lendable)} lendable · ${shares(located)} located`;

/** A group as people call it; by its id where its name is long forgotten. */
export const groupName = ({ group, group_name: name }) => name || group;

/** The market's days: of a number of business days. */
export const days = (count) => (count === null || count === undefined ? NONE : count === 0 ? "today" : `${shares(count)} d`);

/** "12,500", "-1,000" or "−1 000" as a number; NaN for anything else. */
export function whole(text) {
  const digits = text.trim().replace("−", "-").replaceAll(/[,\s_']/g, "");
  return /^[-+]?\d{1,15}$/.test(digits) ? Number(digits) : NaN;
}
