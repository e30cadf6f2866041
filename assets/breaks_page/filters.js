// Which breaks are shown, and how they are put together.

import { make } from "../grid/dom.js";
import { words } from "../page/words.js";
import { KINDS, SEVERITIES, STATES } from "./words.js";

export const FILTERS = ["text", "kind", "severity", "state", "market", "security", "depot", "owner", "age", "held"];
export const GROUPS = { "": "no groups", security: "by security", depot: "by depot", kind: "by kind", owner: "by owner", market: "by market", group: "by person's group" };
export const ORDERS = { rank: "what it does first", value: "value first", age: "oldest first", newest: "newest first", severity: "severity first" };
/** Characters that may be looked for. */
const LONGEST = 200;

const option = ([value, title]) => make("option", { value }, title);
const select = (name, label, entries) => make("select", { name, "aria-label": label }, ...entries.map(option));
const input = (name, placeholder, more = {}) => make("input", { name, placeholder, "aria-label": placeholder, autocomplete: "off", spellcheck: "false", ...more });

/** Fields in `host` that follow the page's state, and lead it. `me`: who looks. */
export function filters(host, page, me) {
  const fields = {
    text: input("text", "Find", { "aria-keyshortcuts": "f", title: "Every word of it: an identifier, a part of a name, a place, a kind, an owner... Key: F", maxlength: LONGEST }),
    kind: select("kind", "Kind", [["", "every kind"], ...Object.entries(KINDS)]),
    severity: select("severity", "Severity", [["", "every severity"], ["critical,high", "critical and high"], ...SEVERITIES.map((each) => [each, each])]),
    state: select("state", "State", [["", "not solved"], ...STATES.map((each) => [each, each === "resolved" ? "solved" : words(each)])]),
    market: input("market", "Market", { class: "short" }),
    security: input("security", "Security"),
    depot: input("depot", "Depot", { class: "short" }),
    owner: select("owner", "Owner", [["", "everybody's"], [me, "mine"], ["-", "nobody's"]]),
    age: select("age", "Age in business days", [["", "any age"], ["1", "1 day or more"], ["2", "2 days or more"], ["5", "5 days or more"], ["10", "10 days or more"]]),
    held: select("held", "Kept out of availability", [["", "held or not"], ["true", "kept out"]]),
    group: select("group", "Groups", Object.entries(GROUPS)),
    order: select("order", "Order", Object.entries(ORDERS)),
  };
  const clear = make("button", { type: "button", class: "plain", onclick: () => page.go(Object.fromEntries(FILTERS.map((name) => [name, ""]))) }, "Clear");
  host.append(...Object.values(fields), clear);
  const given = () => page.go(Object.fromEntries(Object.entries(fields).map(([name, { value }]) => [name, value.trim()])));
  host.addEventListener("submit", (event) => {
    event.preventDefault();
    given();
  });
  host.addEventListener("change", given);
  fields.text.addEventListener("input", () => page.go({ text: fields.text.value }, { step: false }));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "f" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, .alerts-panel")) return;
    event.preventDefault();
    fields.text.focus();
  });
  /** Show the page's state, except where somebody is typing. */
  return () => {
    for (const [name, field] of Object.entries(fields)) {
      const value = page.state[name];
      if (field.tagName === "SELECT" && ![...field.options].some((each) => each.value === value)) field.append(option([value, words(value).replaceAll(",", ", ")]));
      if (field !== document.activeElement && field.value !== value) field.value = value;
    }
    clear.hidden = !FILTERS.some((name) => page.state[name]);
    host.hidden = page.state.view !== "breaks";
  };
}

/** The query of the API for what is on screen. */
export function asked({ text, kind, severity, state, market, security, depot, owner, age, held, order }, limit) {
  return { text: text.trim().replaceAll(/\s+/g, " "), kind, severity, state, market, security, depot, owner, age_min: age, held, order: order === "rank" ? "" : order, limit };
}
