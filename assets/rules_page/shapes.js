// The words of a version's life: what each state looks like, and who may take which step from it.

/** Icons differ in shape as well as in colour. */
export const STATES = {
  draft: { icon: "◇", text: "Draft" },
  tested: { icon: "◈", text: "Tested" },
  submitted: { icon: "▶", text: "Submitted" },
  approved: { icon: "◐", text: "Approved" },
  active: { icon: "●", text: "Active" },
  retired: { icon: "○", text: "Retired" },
  rejected: { icon: "✕", text: "Rejected" },
  withdrawn: { icon: "◁", text: "Withdrawn" },
};

/** States in which somebody still has to do something. */
export const OPEN = new Set(["draft", "tested", "submitted", "approved"]);
const MAKERS = ["trader", "ops"];
const CHECKERS = ["admin"];

const among = (roles, some) => roles.some((role) => some.includes(role));

/**
 * The steps that can be taken from a version: [{step, label, why}], `why` "" when this person may take it now.
 * Only a hint for the eye: the engine decides again, and says so.
 */
export function steps(version, { user, roles }) {
  const makers = [version.author, version.submitter].filter(Boolean);
  const maker = among(roles, MAKERS) ? "" : "Only trader or ops may do this";
  const tester = among(roles, [...MAKERS, ...CHECKERS]) ? "" : "Only trader, ops or admin may do this";
  const checker = among(roles, CHECKERS) ? "" : "Only an admin may approve or reject";
  const another = makers.includes(user) ? "You made it: another person checks it" : "";
  const own = makers.includes(user) || among(roles, CHECKERS) ? tester : "Only its author or an admin may withdraw it";
  const test = ["test", version.state === "draft" ? "Test" : "Test again", tester];
  const withdraw = ["withdraw", "Withdraw", own];
  const offers = {
    draft: [test, ["submit", "Submit", maker || "Test it first"], withdraw],
    tested: [test, ["submit", "Submit", maker], withdraw],
    submitted: [test, ["approve", "Approve", checker || another], ["reject", "Reject", checker || another], withdraw],
    approved: [test, withdraw],
    retired: [["revert", "Revert to this", maker]],
  };
  const edit = ["edit", version.state === "active" ? "New draft" : "Edit as new draft", maker];
  return [...(offers[version.state] ?? []), edit].map(([step, label, why]) => ({ step, label, why }));
}

export const stateOf = (version) => STATES[version.state] ?? { icon: "?", text: version.state };

/** A moment in UTC, to the minute or to the second; "" for none. Takes ISO text, or nanoseconds since 1970. */
export function moment(value, { seconds = false } = {}) {
  if (!value) return "";
  const ms = typeof value === "number" ? value / 1e6 : Date.parse(value);
  return Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, seconds ? 19 : 16).replace("T", " ") : String(value);
}
