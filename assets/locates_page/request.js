// A trader asks: one line or many, typed or pasted, sent as one request.

import { make } from "../grid/dom.js";
import { confirm } from "../page/dialog.js";
import { once } from "../page/rest.js";
import { percent, shares, words } from "../page/words.js";
import { whole } from "./actions.js";
import { feeOf, stateMark } from "./words.js";

const MOST = 1000;
const EXAMPLE = "00846U101   1,000\nTICKER@MARKET   25,000   desk-7/2";

const PRIORITIES = Array.from({ length: 10 }, (_, at) => [String(at), at ? String(at) : "0, as usual"]);

let kept = { client: "", lines: "" };
/** What was sent and not answered: sent again, it is the same request. */
let sent = { text: "", key: "" };

/** Show the form; sent, the answers. */
export async function request(page) {
  if (document.querySelector("dialog[open]")) return;
  if (!page.may("trader", "ops")) return page.say("Only trader or ops may ask for locates", "bad");
  const field = (id, label, input, hint = "") => [make("label", { for: id }, label, hint ? make("small", {}, ` ${hint}`) : ""), Object.assign(input, { id, name: id })];
  const client = make("input", { required: "", maxlength: 64, autocomplete: "off", value: kept.client });
  const lines = make("textarea", { rows: 6, required: "", spellcheck: "false", class: "mono", placeholder: EXAMPLE });
  lines.value = kept.lines;
  const choice = (...options) => make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
  const two = (...fields) => make("div", { class: "fields" }, ...fields.map((pair) => make("div", {}, ...pair)));
  const number = (mode) => make("input", { inputmode: mode, autocomplete: "off" });
  const quoted = make("div", { id: "quoted", role: "status" });
  const quote = make("button", { type: "button", id: "quote", onclick: () => indicate(page, quote.form, quoted) }, "What would be decided?");
  const fields = [
    two(field("client", "Client", client), field("type", "For a", choice(["short", "short sale"], ["long", "long sale"])), field("settlement", "Of", choice(["cash", "shares"], ["swap", "a swap on them"])), field("au", "Unit that sells", make("input", { maxlength: 64, autocomplete: "off" }))),
    ...field("lines", "Lines", lines, "security, shares and, if you like, your reference: one line each. A ticker needs its market: TICKER@MARKET"),
    two(field("partial", "A part", choice(["yes", "is of use"], ["no", "is of no use: all or none"])), field("insufficient", "Where too little is left", choice(["reject", "refuse"], ["pend", "let it wait for a person"])), field("priority", "Priority", choice(...PRIORITIES))),
    two(field("minimum", "At least, shares", number("numeric")), field("rate", "At most, percent a year", number("decimal")), field("good_for", "Good for", make("input", { type: "date" })), field("intraday", "Bought back", choice(["no", "later"], ["yes", "on the same day"]))),
    make("div", { class: "tools" }, quote), quoted,
  ];
  let answers = null;
  const said = await confirm({
    title: "Ask for locates", yes: "Send", comment: "optional", fields, focus: kept.client ? lines : client,
    send: async (form) => {
      kept = { client: form.client, lines: form.lines };
      const { asked, wrong } = read(form);
      if (wrong) return wrong;
      const text = JSON.stringify(asked);
      if (sent.text !== text) sent = { text, key: once() };
      try {
        answers = [await page.api.request(asked.length === 1 ? asked[0] : asked, sent.key)].flat();
        sent = { text: "", key: "" };
      } catch (error) {
        return refused(error, asked.length);
      }
      return null;
    },
  });
  if (said === null) return;
  kept.lines = "";
  const counts = Map.groupBy(answers, ({ state }) => state);
  page.say([...counts].map(([state, of]) => `${shares(of.length)} ${words(state)}`).join(", "), "good");
  page.show();
  const answer = await confirm({ title: "Answers", body: table(answers), yes: answers.length === 1 ? "Open it" : "Close" });
  if (answer && answers.length === 1) page.go({ view: answers[0].state === "pending" ? "queue" : "all", id: answers[0].id });
}

/** What would be decided now, under the form: it holds nothing. */
async function indicate(page, form, host) {
  const { asked, wrong } = read(Object.fromEntries(new FormData(form)));
  if (wrong || !form.elements.client.value.trim()) return host.replaceChildren(make("p", { class: "bad" }, wrong ?? "Say for which client"));
  try {
    const quotes = [await page.api.quote(asked.length === 1 ? asked[0] : asked)].flat();
    return host.replaceChildren(table(quotes), make("p", { class: "sub" }, "Indicative, at this moment: nothing is held for it."));
  } catch (error) {
    return host.replaceChildren(make("p", { class: "bad" }, refused(error, asked.length)));
  }
}

/** The lines of the form as the API takes them, or what is wrong with them. */
export function read(form) {
  const minimum = form.minimum ? whole(form.minimum) : null;
  const rate = form.rate ? Number(form.rate.replace("%", "")) : null;
  if (Number.isNaN(minimum)) return { wrong: `“${form.minimum}” is no number of shares` };
  if (Number.isNaN(rate)) return { wrong: `“${form.rate}” is no rate` };
  const same = {
    client: form.client.trim(), type: form.type, allow_partial: form.partial === "yes", on_insufficient: form.insufficient, comment: form.comment,
    settlement: form.settlement, priority: Number(form.priority), intraday_cover: form.intraday === "yes",
    ...(form.au.trim() && { au: form.au.trim() }), ...(minimum && { minimum_quantity: minimum }), ...(rate !== null && { max_rate: rate }), ...(form.good_for && { good_for: form.good_for }),
  };
  const texts = form.lines.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!texts.length) return { wrong: "There is no line yet" };
  if (texts.length > MOST) return { wrong: `At most ${shares(MOST)} lines` };
  const asked = [];
  for (const [at, text] of texts.entries()) {
    const [security, amount, reference = "", ...rest] = text.split(/[\s;]+/);
    const quantity = amount === undefined ? NaN : whole(amount);
    if (!quantity || rest.length) return { wrong: `Line ${at + 1}: expected a security, its shares and perhaps a reference, not “${text}”` };
    asked.push({ security, quantity, ...(reference && { reference }), ...same });
  }
  return { asked };
}

/** A refusal in words, by line. */
function refused(error, many) {
  if (!error.problems?.length) return error.message;
  const at = ({ pointer, message }) => {
    const [, ...path] = (pointer ?? "").split("/");
    const line = many > 1 && /^\d+$/.test(path[0]) ? `Line ${Number(path.shift()) + 1}, ` : "";
    return `${line}${path.length ? `${words(path.join(" "))}: ` : ""}${message}`;
  };
  return error.problems.slice(0, 5).map(at).join(" · ");
}

function table(answers) {
  const heads = ["Security", "Asked for", "Approved", "Rate", "State", "Why"].map((title, i) => make("th", { scope: "col", class: i > 0 && i < 4 ? "num" : "" }, title));
  const row = (each) => make("tr", {}, make("th", { scope: "row" }, each.security), make("td", { class: "num" }, shares(each.requested)), make("td", { class: "num" }, shares(each.approved)),
    make("td", { class: "num" }, percent(feeOf(each))), make("td", {}, stateMark(each.state)), make("td", {}, each.reason ? words(each.reason) : ""));
  return make("div", { class: "scroll answers" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...answers.map(row))));
}
