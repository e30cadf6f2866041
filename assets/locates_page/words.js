// The words of locates. Icons differ in shape as well as in colour.

import { make } from "../grid/dom.js";
import { words } from "../page/words.js";

const ICONS = { pending: "◐", approved: "●", partially_approved: "◑", rejected: "✕", exhausted: "■", released: "○", expired: "◌", cancelled: "○", revoked: "▲" };
export const STATES = Object.keys(ICONS);
export const LIVE = ["approved", "partially_approved"];

export const stateText = (state) => `${ICONS[state] ?? "?"} ${state === "partially_approved" ? "partial" : words(state)}`;
export const stateMark = (state) => make("span", { class: `state ${state}` }, stateText(state));
/** Who asks: the person where the request says it, else whose token it was. */
export const asker = (locate) => locate.requested_by || locate.created_by;
/** A question that nobody has answered yet. */
export const question = (locate) => (locate.state === "pending" ? locate.remark : "");
/** Percent a year; null where nobody knows. */
export const feeOf = (locate) => locate.rate ?? locate.fee_percent ?? null;
/** The rule that decided, as it stood: {id, version}; null where a person did. */
export const ruleOf = ({ decision, rule }) => (decision ? decision.rule && { id: decision.rule, version: decision.version } : rule);
export const priorityOf = (locate) => locate.priority ?? 0;
/** Less than this is of no use to the client. */
export const leastOf = (locate) => (locate.allow_partial ? locate.minimum_quantity ?? 1 : locate.requested);
