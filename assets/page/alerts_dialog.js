// Writing an alert: what it would ring for now is shown while one writes.

import { make } from "../grid/dom.js";
import { number, valuesOf } from "./alerts_words.js";
import { confirm } from "./dialog.js";
import { ApiError } from "./rest.js";
import { SEVERITIES } from "./severity.js";

const PAUSE_MS = 300;
const NEW = { name: "", condition: "", securities: [], severity: "medium", enabled: true, sound: false, webhook: false, margin_percent: 1, hold_s: 5 };

/** Ask for an alert, or for what is to change of one. Whether it was kept. */
export async function write(api, alert) {
  const now = alert ?? NEW;
  const condition = make("textarea", { id: "alert-condition", name: "condition", rows: 2, maxlength: 1000, required: "", spellcheck: "false", autocomplete: "off", "aria-describedby": "alert-feedback", placeholder: "price < 10,000 and HTB" }, now.condition);
  const securities = make("input", { id: "alert-securities", name: "securities", autocomplete: "off", spellcheck: "false", placeholder: "all", value: now.securities.join(", ") });
  const feedback = make("div", { id: "alert-feedback", class: "feedback", role: "status" }, "Say when to tell you.");
  const field = (id, title, input) => make("p", { class: "field" }, make("label", { for: id }, title), input);
  const check = (name, title) => make("label", { class: "check" }, make("input", { type: "checkbox", name, ...(now[name] ? { checked: "" } : {}) }), title);
  const form = make("div", { class: "alert-form" },
    field("alert-condition", "Tell me when", condition), feedback, vocabulary(api, condition),
    field("alert-name", "Name", make("input", { id: "alert-name", name: "name", maxlength: 64, autocomplete: "off", value: now.name, placeholder: "the condition itself" })),
    field("alert-securities", "Only for", securities),
    field("alert-severity", "Severity", make("select", { id: "alert-severity", name: "severity" }, ...SEVERITIES.map((each) => make("option", { value: each, ...(each === now.severity ? { selected: "" } : {}) }, each)))),
    make("p", { class: "field" }, make("span", {}, "Also"), check("sound", "a sound"), check("webhook", "webhooks")),
    make("details", {}, make("summary", {}, "When it is over"),
      field("alert-margin", "Limits missed by, %", make("input", { id: "alert-margin", name: "margin_percent", inputmode: "decimal", value: now.margin_percent, class: "num" })),
      field("alert-hold", "For so long, seconds", make("input", { id: "alert-hold", name: "hold_s", inputmode: "numeric", value: now.hold_s, class: "num" }))));
  const watch = live(api, condition, securities, feedback);
  const kept = await confirm({
    title: alert ? `Change the alert ${alert.name}` : "New alert", body: form, yes: alert ? "Change it" : "Watch it", focus: condition,
    send: async (given) => {
      const body = {
        name: given.name.trim(), condition: given.condition.trim(), securities: codes(given.securities), severity: given.severity, enabled: now.enabled,
        sound: given.sound === "on", webhook: given.webhook === "on", margin_percent: Number(given.margin_percent), hold_s: Number(given.hold_s),
      };
      try {
        await (alert ? api.change(alert.id, { ...body, revision: alert.revision }) : api.add(body));
        return null;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        return error.problems.map(({ message }) => message).join("; ") || error.message;
      }
    },
  });
  watch.end();
  return kept !== null;
}

const codes = (text) => text.split(/[,;\n]+/).map((each) => each.trim()).filter(Boolean);

/** Try what is written, after a pause; the newest question wins. */
function live(api, condition, securities, feedback) {
  let due = null;
  let turn = 0;
  const ask = async () => {
    const mine = ++turn;
    const text = condition.value.trim();
    if (!text) return say(feedback, "", "Say when to tell you.");
    try {
      const told = await api.test({ condition: condition.value, securities: codes(securities.value) });
      if (mine !== turn) return undefined;
      const first = told.securities.slice(0, 6).map((each) => make("li", {}, make("b", {}, each.ticker || each.security), ` ${each.market} `, make("span", { class: "sub" }, valuesOf(each))));
      const all = `of ${number(told.looked_at)} ${told.looked_at === 1 ? "security" : "securities"}`;
      const much = told.matching > 500 ? " The first 500 are told: is that what you mean?" : "";
      return say(feedback, told.matching > 500 ? "warn" : "good", `Holds now for ${number(told.matching)} ${all}.${much}`, ...(first.length ? [make("ul", {}, ...first)] : []));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine !== turn) return undefined;
      const [problem] = error.problems;
      if (!problem?.line) return say(feedback, "bad", error.message);
      return say(feedback, "bad", problem.message, pointed(condition.value, problem));
    }
  };
  const soon = () => {
    const problem = feedback.closest("form")?.querySelector(".problem");
    if (problem) problem.hidden = true; // it was about what was written before
    clearTimeout(due);
    due = setTimeout(ask, PAUSE_MS);
  };
  for (const input of [condition, securities]) input.addEventListener("input", soon);
  if (condition.value) soon();
  return { end: () => { clearTimeout(due); turn = -1; } };
}

/** The line that is wrong, with a mark under its place. */
function pointed(text, { line, column }) {
  const written = text.split("\n")[line - 1] ?? "";
  return make("pre", {}, `${written}\n${" ".repeat(Math.max(0, column - 1))}▲`);
}

function say(feedback, kind, ...content) {
  feedback.className = `feedback ${kind}`;
  feedback.replaceChildren(...content);
}

/** What may be said, to be put in at a click. */
function vocabulary(api, condition) {
  const host = make("div", { class: "words" }, "Asking…");
  const put = (text) => {
    const before = condition.value.slice(0, condition.selectionStart);
    condition.setRangeText(`${before && !/\s$/.test(before) ? " " : ""}${text} `, condition.selectionStart, condition.selectionEnd, "end");
    condition.focus();
    condition.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const word = (text, title = "") => make("button", { type: "button", title, onclick: () => put(text) }, text);
  const details = make("details", { ontoggle: async () => {
    if (!details.open || details.dataset.asked) return;
    details.dataset.asked = "1";
    try {
      const { numbers, attributes, examples } = await api.words();
      const families = [...new Set(numbers.map(({ family }) => family))];
      const part = (title, ...words) => make("p", {}, make("b", {}, title), ...words);
      host.replaceChildren(part("Examples", ...examples.map((each) => word(each))),
        ...families.map((family) => part(family, ...numbers.filter((each) => each.family === family).map(({ name, title, tip }) => word(name, [title, tip].filter(Boolean).join(": "))))),
        ...Object.entries(attributes).filter(([, values]) => values.length).map(([name, values]) => part(name, ...values.map((value) => word(value)))),
        part("And", ...["and", "or", "not", "between", "is known", "changes by", "rises by", "falls by", "within 5 minutes", "contains"].map((each) => word(each))));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      delete details.dataset.asked;
      host.textContent = error.message;
    }
  } }, make("summary", {}, "What may be said"), host);
  return details;
}
